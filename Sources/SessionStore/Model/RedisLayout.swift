import Synchronization

/// Layouts of the keys in Redis, by number; docs/redis-protocol.md says how they differ.
package enum RedisLayout {
    /// The layout of builds that knew of no layouts. A session without `v` has it.
    package static let first = 1
    /// The highest layout that this build reads and writes.
    package static let known = 3
    /// The first layout with tenants and owners. Builds of earlier ones would remove the hints of
    /// tenants' sessions, and open each session to every user.
    package static let owners = 3
}

/// The layout that this replica may write, as it last read it from `agent:meta`.
package final class LayoutState: Sendable {
    private let value: Atomic<Int>

    init(_ layout: Int) {
        value = Atomic(layout)
    }

    /// Never more than ``RedisLayout/known``.
    package var current: Int { min(value.load(ordering: .relaxed), RedisLayout.known) }
    /// Whether this build cannot read the deployment's layout.
    package var isNewer: Bool { value.load(ordering: .relaxed) > RedisLayout.known }

    func set(_ layout: Int) { value.store(layout, ordering: .relaxed) }
}
