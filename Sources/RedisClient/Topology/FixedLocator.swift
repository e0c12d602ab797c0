import Locks
import NIOCore

/// Returns one fixed address. The server behind it may change: the host name of a managed service
/// leads to another server after a failover, while the old one stays up as a replica.
///
/// Once a server turned out to be a replica, connections ask each new server for its role.
final class FixedLocator: RedisLocator {
    private struct State {
        var demotion: ContinuousClock.Instant?
        var onDemoted: (@Sendable (RedisConfiguration.Address) -> Void)?
    }

    /// When the last server was demoted. A replica that may not report its role would be connected
    /// to again after every refused write, so this happens at most once a second.
    private static let pause = Duration.seconds(1)

    private let address: RedisConfiguration.Address
    private let state = Guarded(State())

    init(_ address: RedisConfiguration.Address) {
        self.address = address
    }

    var roleCheck: RoleCheck { state.withLock { $0.demotion } == nil ? .none : .notReplica }

    func locate(on eventLoop: any EventLoop) -> EventLoopFuture<RedisConfiguration.Address> {
        eventLoop.makeSucceededFuture(address)
    }

    func rejected(_ address: RedisConfiguration.Address) {}

    func demoted(_ address: RedisConfiguration.Address) -> Bool {
        let now = ContinuousClock.now
        let (leaves, handler) = state.withLock { state in
            if let last = state.demotion, now < last + Self.pause { return (false, state.onDemoted) }
            state.demotion = now
            return (true, state.onDemoted)
        }
        if leaves { handler?(address) }
        return leaves
    }

    /// Sets the handler for a server that turned out to be a replica.
    func whenDemoted(_ handler: @escaping @Sendable (RedisConfiguration.Address) -> Void) {
        state.withLock { $0.onDemoted = handler }
    }
}
