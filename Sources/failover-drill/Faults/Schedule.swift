import LocalDeployment

/// The faults of a drill and their times. The same seed gives the same schedule.
struct Schedule: Sendable {
    struct Entry: Sendable, Equatable {
        /// The time since the drill's start.
        var at: Duration
        /// The name of a ``FaultKind`` or of a ``FaultCommand``.
        var name: String
        /// Selects the target, and how it is hit.
        var choice: Int
    }

    let entries: [Entry]

    /// Draws a schedule.
    ///
    /// - Parameters:
    ///   - names: The faults to draw from. Each comes once before any comes again.
    ///   - last: The time before the end in which no fault begins, so that the deployment can
    ///     recover.
    init(names: [String], every interval: Duration, duration: Duration, seed: UInt64, last: Duration = .seconds(5)) {
        var random = SeededGenerator(seed: seed)
        var entries: [Entry] = []
        var bag: [String] = []
        var at = interval
        while at <= duration - last, !names.isEmpty {
            if bag.isEmpty { bag = names.shuffled(using: &random) }
            entries.append(Entry(at: at, name: bag.removeLast(), choice: Int.random(in: 0..<1_000, using: &random)))
            at += interval
        }
        self.entries = entries
    }
}
