import SessionStore

extension Settings {
    /// What works, but not as well as it could; one sentence each.
    var warnings: [String] {
        var warnings: [String] = []
        if lease * 2 < redisTimeout * 3 {
            // A connection that dies in silence is given up after the timeout, and only then the lease is renewed over another one.
            warnings.append(
                """
                \(Setting.lease.name) (\(lease.milliseconds)) should be at least one and a half times \(Setting.redisTimeout.name) \
                (\(redisTimeout.milliseconds)): else one lost connection to Redis may cost a living replica its steps
                """)
        }
        return warnings
    }
}
