/// Leases that would run out too late, since Redis's clock was set back after they were given. A value.
///
/// A living owner renews its lease each third of its time: the end of the lease moves. One that has not moved for a whole lease is a lost
/// replica's.
struct StaleLeases: Sendable {
    private struct Sight {
        var step: Int
        var leaseUntil: Int64
        var first: ContinuousClock.Instant
        var last: ContinuousClock.Instant
    }

    private static let most = 4096
    private var sights: [SessionID: Sight] = [:]

    /// Takes in a sight of a running step's lease.
    ///
    /// - Returns: For how long it has not moved.
    mutating func age(of session: SessionID, step: Int, leaseUntil: Int64, at now: ContinuousClock.Instant) -> Duration {
        if let sight = sights[session], sight.step == step, sight.leaseUntil == leaseUntil {
            sights[session]?.last = now
            return now - sight.first
        }
        // The one that was not looked at for longest ran on, or has ended.
        if sights.count >= Self.most, let oldest = sights.min(by: { $0.value.last < $1.value.last })?.key { sights[oldest] = nil }
        sights[session] = Sight(step: step, leaseUntil: leaseUntil, first: now, last: now)
        return .zero
    }
}
