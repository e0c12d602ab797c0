/// An observer of a connection's events other than replies to commands. Called on the connection's
/// event loop.
protocol RedisConnectionObserver: AnyObject, Sendable {
    /// The connection was made, for the first time or again. A new connection has no subscriptions.
    func connected()
    func received(_ message: RedisMessage)
}
