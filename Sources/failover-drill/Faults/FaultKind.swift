/// A fault that the drill can cause in a local deployment.
enum FaultKind: String, Sendable, CaseIterable {
    case kill, pause, terminate
    case redisKill = "redis-kill"
    case failover
    case clientKill = "client-kill"
    case scriptFlush = "script-flush"
    case redisSleep = "redis-sleep"
    case cut
    case redisCut = "redis-cut"
    case model
    case redisStall = "redis-stall"
    case clockStep = "clock-step"
    case longHistory = "long-history"
    case poison, viewers

    /// Says what the drill does, for `--help` and for the terminal.
    var summary: String {
        switch self {
        case .kill: "kill -9 a replica, then restart it"
        case .pause: "SIGSTOP a replica until its leases have expired, then SIGCONT"
        case .terminate: "SIGTERM a replica, then restart it, as in a rolling restart"
        case .redisKill: "kill -9 a Redis master, then restart it as a replica"
        case .failover: "SENTINEL FAILOVER or CLUSTER FAILOVER"
        case .clientKill: "close every connection to Redis's masters"
        case .scriptFlush: "SCRIPT FLUSH on Redis's masters"
        case .redisSleep: "DEBUG SLEEP on Redis's masters, for less than a second"
        case .cut: "drop all bytes between HAProxy and a replica, or close the connections, for 4 s"
        case .redisCut: "the same between a replica and Redis, until its leases have expired"
        case .model: "let the model fail, break off or stall, for 2 s"
        case .redisStall: "pause all Redis servers for longer than a lease"
        case .clockStep: "set the clock of all Redis servers 30 s ahead or back, then right"
        case .longHistory: "let four clients read a history of 15 MB in a loop, for 4 s"
        case .poison: "let the model server send the status 000, for 2 s"
        case .viewers: "let 400 clients follow one stream"
        }
    }

    /// Whether slots of accounts may be missing afterwards, until their owners renew them: Redis loses
    /// writes that no replica of it has, or counts by another clock.
    var losesSlots: Bool { [.redisKill, .failover, .clockStep].contains(self) }

    /// Whether the fault consists of requests. Their clients have no key, and do not come again when
    /// they are refused at a limit.
    var sendsRequests: Bool { [.longHistory, .viewers].contains(self) }

    /// Returns whether the drill can cause this fault with such a Redis.
    func exists(in redis: RedisUnderTest) -> Bool {
        switch self {
        case .failover: redis.topology != .single
        // Sentinels and Cluster nodes announce the servers' own addresses, which no link covers.
        case .redisCut: redis.topology == .single
        case .clockStep: redis.clock != nil
        default: true
        }
    }
}
