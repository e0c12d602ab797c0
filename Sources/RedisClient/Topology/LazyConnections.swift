import Locks
import NIOCore
import Synchronization

/// Connections to one server that are made when they are first used: a bounded number per event
/// loop.
final class LazyConnections: Sendable {
    private struct State {
        /// Grouped by event loop.
        var connections: [RedisConnection?]
        var isShutDown = false
    }

    /// The number of connections per event loop for commands that wait for replicas. A `WAIT`
    /// blocks the commands behind it for about one round trip to a replica.
    static let waitingEach = 4

    private let eventLoops: [any EventLoop]
    private let each: Int
    private let make: @Sendable (any EventLoop) -> RedisConnection
    private let state: Guarded<State>
    private let turn = Atomic<Int>(0)

    /// - Parameters:
    ///   - each: The number of connections per event loop, at least 1.
    ///   - make: Makes a connection without starting it.
    init(eventLoops: [any EventLoop], each: Int = 1, make: @escaping @Sendable (any EventLoop) -> RedisConnection) {
        self.eventLoops = eventLoops
        self.each = each
        self.make = make
        state = Guarded(State(connections: Array(repeating: nil, count: eventLoops.count * each)))
    }

    /// The connections made so far.
    var all: [RedisConnection] { state.withLock { $0.connections.compactMap(\.self) } }

    /// Returns a connection on the caller's event loop if the caller runs on one, in round-robin
    /// order.
    func next() -> RedisConnection {
        let turn = Int(UInt(bitPattern: turn.wrappingAdd(1, ordering: .relaxed).oldValue) % UInt(eventLoops.count * each))
        let loop = eventLoops.firstIndex(where: \.inEventLoop) ?? turn % eventLoops.count
        return state.withLock { state in
            let index = loop * each + turn / eventLoops.count % each
            if let connection = state.connections[index] { return connection }
            let connection = make(eventLoops[loop])
            state.connections[index] = connection
            // A connection that is shut down fails its commands immediately.
            if state.isShutDown { connection.shutDown() } else { connection.start() }
            return connection
        }
    }

    func shutDown(telling error: RedisError = .shutDown) {
        let connections = state.withLock { state in
            state.isShutDown = true
            return state.connections
        }
        for connection in connections { connection?.shutDown(telling: error) }
    }
}
