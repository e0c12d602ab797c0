/// The node that has a key, as far as the pool knows.
package struct KeyLocation: Sendable {
    /// The address of the node.
    package var node: RedisConfiguration.Address
    /// The key's slot; 0 on a single server.
    package var slot = 0
    /// When the pool learned that the slot has left another node for this one; nil if this node had
    /// it from the start.
    package var since: ContinuousClock.Instant?

    package init(node: RedisConfiguration.Address, slot: Int = 0, since: ContinuousClock.Instant? = nil) {
        self.node = node
        self.slot = slot
        self.since = since
    }
}
