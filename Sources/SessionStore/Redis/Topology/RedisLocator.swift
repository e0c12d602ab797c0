import NIOCore

/// Finds the server that a connection is made to, anew for every attempt.
protocol RedisLocator: Sendable {
    /// Whether what is found must say of itself that it is a master.
    var findsMaster: Bool { get }

    /// - Returns: A future on `eventLoop`, completed within a bounded time; fails with a ``RedisError``.
    func locate(on eventLoop: any EventLoop) -> EventLoopFuture<RedisConfiguration.Address>

    /// What was found turned out to be no master.
    func rejected(_ address: RedisConfiguration.Address)
}
