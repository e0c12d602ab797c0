/// The servers that have the keys, and the connections to them.
///
/// A topology finds its servers on its own, again after each change, and never gives up before
/// ``shutDown()``.
protocol RedisTopology: Sendable {
    /// Whether one server has all keys, so that commands with different keys can share a write.
    var isOneServer: Bool { get }
    var subscriber: any RedisSubscriptions { get }
    /// Whether at least one connection can be used.
    var isReady: Bool { get }
    /// Grows with each new connection of the usual lane.
    var generation: UInt64 { get }

    /// Returns the route for commands with `key`. Called on an event loop, it picks the connection
    /// there.
    func route(for key: String, over lane: RedisLane) -> RedisRoute
    /// Returns the node that has `key`, as far as the topology knows.
    func location(of key: String) -> KeyLocation
    /// Returns one connection to each server that takes writes.
    func masters() -> [RedisConnection]
    /// Repairs what ended without an error. Called every few seconds.
    func check()
    func shutDown()
}
