public import NIOCore

/// The servers that keys are spread over, and the connections to them.
///
/// A topology finds its servers itself, again and again, and never gives up before ``shutDown()``.
protocol RedisTopology: Sendable {
    /// Whether all keys live in one server, so that commands for different keys can go in one write.
    var isOneServer: Bool { get }
    var subscriber: any RedisSubscriptions { get }
    /// Whether any connection can be used.
    var isReady: Bool { get }
    /// Changes whenever a usual connection was made.
    var generation: UInt64 { get }

    /// The way of a key's commands, over a connection of the caller's event loop where it runs on one.
    func route(for key: String, over lane: RedisLane) -> RedisRoute
    /// Where a key is, as far as is known.
    func location(of key: String) -> KeyLocation
    /// One connection to each server that takes writes.
    func masters() -> [RedisConnection]
    /// Called every few seconds: finds what has gone unnoticed.
    func check()
    func shutDown()
}

/// Listening to channels of Redis.
public protocol RedisSubscriptions: Sendable {
    /// Where messages arrive.
    var eventLoop: any EventLoop { get }

    /// Has `handler` called with every message on `channel` until the subscription is cancelled or let go. On a Cluster every node
    /// passes such messages on.
    func subscribe(_ channel: String, _ handler: @escaping RedisSubscriber.Handler) -> RedisSubscription
    /// The same for a channel that, on a Cluster, lives in the slot of its hash tag.
    func subscribe(sharded channel: String, _ handler: @escaping RedisSubscriber.Handler) -> RedisSubscription
    /// Notices connections that have died in silence, and tries again what was refused.
    func check()
}
