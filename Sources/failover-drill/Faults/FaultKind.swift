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

    /// Whether there is such a thing there.
    func exists(in topology: RedisUnderTest.Topology) -> Bool {
        switch self {
        case .failover: topology != .single
        // Sentinels and nodes give out the servers' own addresses.
        case .redisCut: topology == .single
        default: true
        }
    }
}
