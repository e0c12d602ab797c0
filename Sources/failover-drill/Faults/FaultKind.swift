/// What can be done to a local deployment.
enum FaultKind: String, Sendable, CaseIterable {
    /// `kill -9` of a replica, which is started again.
    case kill
    /// SIGSTOP of a replica until its leases have run out, then SIGCONT.
    case pause
    /// SIGTERM of a replica, which is started again: a rolling restart's step.
    case terminate
    /// `kill -9` of Redis's master; it comes back as a replica.
    case redisKill = "redis-kill"
    /// `SENTINEL FAILOVER`, `CLUSTER FAILOVER`.
    case failover
    /// Every connection to Redis's masters is closed.
    case clientKill = "client-kill"
    case scriptFlush = "script-flush"
    /// `DEBUG SLEEP`: Redis's masters answer nothing for a while.
    case redisSleep = "redis-sleep"
    /// The network between the balancer and a replica loses everything, or ends every connection.
    case cut
    /// The same between a replica and Redis, until its leases have run out.
    case redisCut = "redis-cut"
    /// The model answers with errors, breaks off, or falls silent.
    case model
    /// All of Redis's servers stand still for longer than a lease.
    case redisStall = "redis-stall"
    /// The clock of Redis's servers jumps by 30 s, and back.
    case clockStep = "clock-step"
    /// Some clients read a session's long history in a loop.
    case longHistory = "long-history"
    /// The model's server answers with the status 000.
    case poison
    /// 400 clients view one session's answer.
    case viewers

    /// Whether there is such a thing there.
    func exists(in redis: RedisUnderTest) -> Bool {
        switch self {
        case .failover: redis.topology != .single
        // Sentinels and nodes give out the servers' own addresses.
        case .redisCut: redis.topology == .single
        case .clockStep: redis.clock != nil
        default: true
        }
    }
}
