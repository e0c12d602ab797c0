public import Logging
public import NIOCore
public import ServiceLifecycle

/// The connections of one replica to Redis, whatever its topology: to each server one per event loop, more for what would hold others up
/// (``RedisLane``), and one for all that it subscribes to.
///
/// They connect when the client is made or when they are first wanted, and again whenever they are lost, until ``run()`` ends.
public final class RedisClient: Service {
    public let configuration: RedisConfiguration
    private let topology: any RedisTopology

    public init(configuration: RedisConfiguration, eventLoopGroup: any EventLoopGroup, logger: Logger) {
        var configuration = configuration
        configuration.refusals = WriteRefusals(logger: logger)
        self.configuration = configuration
        topology =
            switch configuration.topology {
            case .single: SingleTopology.following(configuration, eventLoopGroup: eventLoopGroup, logger: logger)
            case .sentinel(let group):
                SentinelTopology(group, configuration: configuration, eventLoopGroup: eventLoopGroup, logger: logger)
            case .cluster(let seeds):
                ClusterTopology(seeds: seeds, configuration: configuration, eventLoopGroup: eventLoopGroup, logger: logger)
            }
    }

    /// The way of commands for a key, or for a key that begins so: the hash tag must be in it.
    public func route(for key: String) -> RedisRoute { topology.route(for: key, over: .usual) }
    func route(for key: String, over lane: RedisLane) -> RedisRoute { topology.route(for: key, over: lane) }
    /// Where a key is, as far as is known.
    func location(of key: String) -> KeyLocation { topology.location(of: key) }
    /// The connection for a key, as far as is known.
    public func connection(for key: String) -> RedisConnection { route(for: key).connection }

    public var subscriber: any RedisSubscriptions { topology.subscriber }
    /// Whether all keys live in one server, so that commands for different keys can go in one write.
    var isOneServer: Bool { topology.isOneServer }
    /// Whether any connection can be used.
    public var isReady: Bool { topology.isReady }
    /// How often connections were made, all of them together. It changes whenever one was lost.
    public var generation: UInt64 { topology.generation }
    /// One connection to each server that takes writes.
    func masters() -> [RedisConnection] { topology.masters() }

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
                self.topology.check()
            }
        }
        shutDown()
    }

    public func shutDown() { topology.shutDown() }
}
