import NIOCore
import Synchronization

/// Connections to one server that are made when they are first wanted: a bounded number on each event loop.
final class LazyConnections: Sendable {
    private struct State {
        /// The connections of one event loop stand side by side.
        var connections: [RedisConnection?]
        var isShutDown = false
    }

    /// How many connections on each event loop wait for replicas: a `WAIT` holds up what comes behind it for about as long as a replica takes.
    static let waitingEach = 4

    private let eventLoops: [any EventLoop]
    private let each: Int
    private let make: @Sendable (any EventLoop) -> RedisConnection
    private let state: Mutex<State>
    private let turn = Atomic<Int>(0)

    /// - Parameters:
    ///   - each: Connections on each event loop, at least 1.
    ///   - make: Makes one that is not started yet.
    init(eventLoops: [any EventLoop], each: Int = 1, make: @escaping @Sendable (any EventLoop) -> RedisConnection) {
        self.eventLoops = eventLoops
        self.each = each
        self.make = make
        state = Mutex(State(connections: Array(repeating: nil, count: eventLoops.count * each)))
    }

    /// Those that were made.
    var all: [RedisConnection] { state.withLock { $0.connections.compactMap(\.self) } }

    /// A connection on the caller's event loop, where it runs on one; of several there, one after the other.
    func next() -> RedisConnection {
        let turn = Int(UInt(bitPattern: turn.wrappingAdd(1, ordering: .relaxed).oldValue) % UInt(eventLoops.count * each))
        let loop = eventLoops.firstIndex(where: \.inEventLoop) ?? turn % eventLoops.count
        return state.withLock { state in
            let index = loop * each + turn / eventLoops.count % each
            if let connection = state.connections[index] { return connection }
            let connection = make(eventLoops[loop])
            state.connections[index] = connection
            // One that is shut down fails its commands at once.
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
