/// Leases that would run out too late, since Redis's clock was set back after they were given. A
/// value.
///
/// A living owner renews its lease each third of its time, so the end of the lease moves. A lease
/// that has not moved for a whole lease belongs to a lost replica.
struct UnmovedLeases: Sendable {
    private struct Sight {
        var step: Int
        var leaseUntil: Int64
        var first: ContinuousClock.Instant
        var last: ContinuousClock.Instant
    }

    private static let most = 4096
    private var sights: [SessionID: Sight] = [:]

    /// Records a running step's lease as a sweeper has read it.
    ///
    /// - Returns: For how long it has not moved.
    mutating func age(of session: SessionID, step: Int, leaseUntil: Int64, at now: ContinuousClock.Instant) -> Duration {
        if let sight = sights[session], sight.step == step, sight.leaseUntil == leaseUntil {
            sights[session]?.last = now
            return now - sight.first
        }
        // The step that was not read for longest went on, or has ended.
        if sights.count >= Self.most, let oldest = sights.min(by: { $0.value.last < $1.value.last })?.key { sights[oldest] = nil }
        sights[session] = Sight(step: step, leaseUntil: leaseUntil, first: now, last: now)
        return .zero
    }
}
