import Locks
import NIOCore

/// Returns one address after the other, for a connection that may use any of them.
final class RotatingLocator: RedisLocator {
    private struct State {
        var addresses: [RedisConfiguration.Address]
        var turn = 0
    }

    let roleCheck = RoleCheck.none
    private let state: Guarded<State>

    init(_ addresses: [RedisConfiguration.Address]) {
        state = Guarded(State(addresses: addresses))
    }

    func update(_ addresses: [RedisConfiguration.Address]) {
        state.withLock { $0.addresses = addresses }
    }

    func locate(on eventLoop: any EventLoop) -> EventLoopFuture<RedisConfiguration.Address> {
        let address = state.withLock { state -> RedisConfiguration.Address? in
            guard !state.addresses.isEmpty else { return nil }
            state.turn = (state.turn + 1) % state.addresses.count
            return state.addresses[state.turn]
        }
        guard let address else { return eventLoop.makeFailedFuture(RedisError(.connectionFailed, "there is no address to connect to")) }
        return eventLoop.makeSucceededFuture(address)
    }

    func rejected(_ address: RedisConfiguration.Address) {}
    func demoted(_ address: RedisConfiguration.Address) -> Bool { false }
}
