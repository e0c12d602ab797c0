public import Logging
public import NIOCore
public import ServiceLifecycle
import Synchronization

/// The connections of one replica to Redis: one per event loop, and one for all that it subscribes to.
///
/// They connect when the client is made, and again whenever they are lost, until ``run()`` ends.
public final class RedisClient: Service {
    public let configuration: RedisConfiguration
    public let subscriber: RedisSubscriber
    private let connections: [RedisConnection]
    private let next = Atomic<Int>(0)
    private let logger: Logger

    public init(configuration: RedisConfiguration, eventLoopGroup: any EventLoopGroup, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        connections = eventLoopGroup.makeIterator().map {
            RedisConnection(configuration: configuration, eventLoop: $0, logger: logger)
        }
        subscriber = RedisSubscriber(configuration: configuration, eventLoop: eventLoopGroup.next(), logger: logger)
        for connection in connections { connection.start() }
        subscriber.start()
    }

    /// The connection for a key: on the caller's own event loop, where it runs on one. While that one is being made again, one that is ready.
    public func connection(for key: String) -> RedisConnection {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        let usual =
            connections.first(where: { $0.eventLoop.inEventLoop })
            ?? connections[Int(UInt(bitPattern: index) % UInt(connections.count))]
        return usual.isReady ? usual : connections.first(where: \.isReady) ?? usual
    }

    /// Whether any connection can be used.
    public var isReady: Bool { connections.contains(where: \.isReady) }

    /// How often connections were made, all of them together. It changes whenever one was lost.
    public var generation: UInt64 { connections.reduce(0) { $0 &+ $1.generation } }

    /// - Returns: Whether a connection could be used within `timeout`.
    public func waitUntilReady(timeout: Duration) async -> Bool {
        let deadline = ContinuousClock.now.advanced(by: timeout)
        while !isReady {
            guard ContinuousClock.now < deadline, (try? await Task.sleep(for: .milliseconds(2))) != nil else { return isReady }
        }
        return true
    }

    /// Runs until the service is told to stop, then closes the connections.
    public func run() async throws {
        try? await cancelWhenGracefulShutdown {
            while true {
                try await Task.sleep(for: RedisSubscriber.checkInterval)
                self.subscriber.check()
            }
        }
        shutDown()
    }

    public func shutDown() {
        for connection in connections { connection.shutDown() }
        subscriber.shutDown()
    }
}
