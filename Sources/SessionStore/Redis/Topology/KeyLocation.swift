/// Where a key is, as far as is known.
struct KeyLocation: Sendable {
    var node: RedisConfiguration.Address
    /// 0 where there are no slots.
    var slot = 0
    /// When it became known that the slot is at this node, and no longer at another one; nil where it was there before.
    var since: ContinuousClock.Instant?
}
