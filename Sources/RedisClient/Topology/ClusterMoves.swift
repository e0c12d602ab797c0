/// The time at which the pool noticed that a slot of a Cluster changed its node, for each such
/// slot. A value.
struct ClusterMoves: Sendable {
    private static let memory = Duration.seconds(3600)
    private var noticed: [Int: ContinuousClock.Instant] = [:]

    subscript(slot: Int) -> ContinuousClock.Instant? { noticed[slot] }

    mutating func add(_ slots: [Int], at now: ContinuousClock.Instant) {
        guard !slots.isEmpty else { return }
        noticed = noticed.filter { now - $0.value < Self.memory }
        for slot in slots { noticed[slot] = now }
    }
}
