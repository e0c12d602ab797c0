import LocalDeployment

/// Which fault comes when: the same for the same seed.
struct Schedule: Sendable {
    struct Entry: Sendable, Equatable {
        /// Since the beginning.
        var at: Duration
        /// A kind's name, or a command's.
        var name: String
        /// Chooses whom it hits, and how.
        var choice: Int
    }

    let entries: [Entry]

    /// - Parameters:
    ///   - names: What may come. Each comes once before any comes again.
    ///   - last: How long before the end nothing comes any more, so that what was broken can mend.
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
