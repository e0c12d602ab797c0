import NIOCore
import Synchronization

/// One address for good. What is behind it may change: a name of a managed service leads to another
/// server after a failover, and the old one lives on as a replica.
///
/// Servers are asked for their role once one of them has turned out to be a replica.
final class FixedLocator: RedisLocator {
    private struct State {
        var demotion: ContinuousClock.Instant?
        var onDemoted: (@Sendable (RedisConfiguration.Address) -> Void)?
    }

    /// A server that does not tell its role may be connected to again and again: not for every
    /// write that it refuses.
    private static let pause = Duration.seconds(1)

    private let address: RedisConfiguration.Address
    private let state = Mutex(State())

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

    /// Has `handler` called when a server that was used turns out to be a replica.
    func whenDemoted(_ handler: @escaping @Sendable (RedisConfiguration.Address) -> Void) {
        state.withLock { $0.onDemoted = handler }
    }
}
