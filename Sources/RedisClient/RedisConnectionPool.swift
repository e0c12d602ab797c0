public import Logging
public import NIOCore
public import ServiceLifecycle

/// The connections of one process to Redis, for one server, Sentinel or a Cluster.
///
/// To each server the pool keeps one pipelined connection per event loop, further connections for
/// traffic that would delay other commands, and one connection for all subscriptions. They connect
/// when the pool is made or when they are first used, and again after each loss, until ``run()``
/// ends or ``shutDown()`` is called.
public final class RedisConnectionPool: Service {
    /// The configuration, as the pool was given it.
    public let configuration: RedisConfiguration
    private let topology: any RedisTopology

    /// Makes the connections; they connect in the background.
    ///
    /// - Parameters:
    ///   - configuration: The address of Redis, and the bounds of the connections.
    ///   - eventLoopGroup: The event loops of the connections. A command that is sent from one of
    ///     them uses the connection on the same event loop.
    ///   - logger: For losses and refused writes.
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

    /// Returns the route for commands with `key`. A prefix of the key is enough if it contains the
    /// hash tag.
    public func route(for key: String) -> RedisRoute { topology.route(for: key, over: .usual) }
    /// Returns the route for commands with `key`, over connections of `lane`.
    package func route(for key: String, over lane: RedisLane) -> RedisRoute { topology.route(for: key, over: lane) }
    /// Returns the node that has `key`, as far as the pool knows.
    package func location(of key: String) -> KeyLocation { topology.location(of: key) }
    /// Returns the connection to the node that has `key`, as far as the pool knows.
    public func connection(for key: String) -> RedisConnection { route(for: key).connection }

    /// The subscriptions of this process.
    public var subscriber: any RedisSubscriptions { topology.subscriber }
    /// Whether one server has all keys, so that commands with different keys can share a write.
    package var isOneServer: Bool { topology.isOneServer }
    /// Whether at least one connection can be used.
    public var isReady: Bool { topology.isReady }
    /// The number of connections that were made so far. It grows after each loss.
    public var generation: UInt64 { topology.generation }
    /// Returns one connection to each server that takes writes.
    public func masters() -> [RedisConnection] { topology.masters() }

    /// Waits until a connection can be used.
    ///
    /// - Returns: False if none could be used within `timeout`, or if the task was cancelled.
    public func waitUntilReady(timeout: Duration) async -> Bool {
        let deadline = ContinuousClock.now.advanced(by: timeout)
        while !isReady {
            guard ContinuousClock.now < deadline, (try? await Task.sleep(for: .milliseconds(2))) != nil else { return isReady }
        }
        return true
    }

    /// Repairs connections until the service group shuts down, then closes all of them.
    public func run() async throws {
        try? await cancelWhenGracefulShutdown {
            while true {
                try await Task.sleep(for: RedisSubscriber.checkInterval)
                self.topology.check()
            }
        }
        shutDown()
    }

    /// Closes all connections for good. Commands in flight fail with ``RedisError/Code/closed``.
    public func shutDown() { topology.shutDown() }
}
