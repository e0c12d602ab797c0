import Synchronization

/// Layouts of the keys in Redis, by number; docs/redis-protocol.md says how they differ.
package enum RedisLayout {
    /// Of the builds that knew of no layouts. A session without `v` has it.
    package static let first = 1
    /// The highest one that this build reads and writes.
    package static let known = 2
}

/// The layout that this replica may write, as it was last read from `agent:meta`.
package final class LayoutState: Sendable {
    private let value: Atomic<Int>

    init(_ layout: Int) {
        value = Atomic(layout)
    }

    /// Never more than ``RedisLayout/known``.
    package var current: Int { min(value.load(ordering: .relaxed), RedisLayout.known) }
    /// Whether the deployment's layout is one that this build cannot read.
    package var isNewer: Bool { value.load(ordering: .relaxed) > RedisLayout.known }

    func set(_ layout: Int) { value.store(layout, ordering: .relaxed) }
}
