public import NIOCore

/// Subscriptions to Redis's pub/sub channels.
public protocol RedisSubscriptions: Sendable {
    /// The event loop on which messages arrive.
    var eventLoop: any EventLoop { get }

    /// Calls `handler` with each message on `channel`, until the subscription is cancelled or
    /// released. On a Cluster every node forwards these messages.
    func subscribe(_ channel: String, _ handler: @escaping RedisSubscriber.Handler) -> RedisSubscription
    /// Does the same for a channel that, on a Cluster, lives in the slot of its hash tag
    /// (`SSUBSCRIBE`).
    func subscribe(sharded channel: String, _ handler: @escaping RedisSubscriber.Handler) -> RedisSubscription
    /// Repairs connections that ended without an error, and retries refused subscriptions.
    func check()
}
