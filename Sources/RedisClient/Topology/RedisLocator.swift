import NIOCore

/// Finds the address of the server, before each attempt to connect.
protocol RedisLocator: Sendable {
    var roleCheck: RoleCheck { get }

    /// Looks the address up.
    ///
    /// - Returns: A future on `eventLoop`. It completes within a bounded time, or fails with a
    ///   ``RedisError``.
    func locate(on eventLoop: any EventLoop) -> EventLoopFuture<RedisConfiguration.Address>

    /// Reports that the server at `address` says it is not a master.
    func rejected(_ address: RedisConfiguration.Address)

    /// Reports that a server in use refused a write, since it is a replica now.
    ///
    /// - Returns: Whether the connection must be closed.
    func demoted(_ address: RedisConfiguration.Address) -> Bool
}

/// The role that a server must report before it is used.
enum RoleCheck: Sendable {
    /// The server is not asked.
    case none
    /// Any role but replica. A server that may not report its role is used, too.
    case notReplica
    case master
}
