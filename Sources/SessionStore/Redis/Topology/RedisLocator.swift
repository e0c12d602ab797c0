import NIOCore

/// Finds the server that a connection is made to, anew for every attempt.
protocol RedisLocator: Sendable {
    var roleCheck: RoleCheck { get }

    /// - Returns: A future on `eventLoop`, completed within a bounded time; fails with a ``RedisError``.
    func locate(on eventLoop: any EventLoop) -> EventLoopFuture<RedisConfiguration.Address>

    /// What was found says of itself that it is no master.
    func rejected(_ address: RedisConfiguration.Address)

    /// A server that was used refuses a write, as it is a replica now.
    ///
    /// - Returns: Whether the connection to it is to be given up.
    func demoted(_ address: RedisConfiguration.Address) -> Bool
}

/// What a server must say of its role before it is used.
enum RoleCheck: Sendable {
    /// It is not asked.
    case none
    /// One that does not say is used.
    case notReplica
    case master
}
