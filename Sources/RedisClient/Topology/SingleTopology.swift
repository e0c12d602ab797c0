import Logging
import NIOCore
import Synchronization

/// One server: one pipelined connection per event loop, and one for all subscriptions. If a locator
/// is given, it finds the server's address before each attempt to connect.
final class SingleTopology: RedisTopology {
    private let connections: [RedisConnection]
    private let side: SideConnections
    private let server: RedisSubscriber
    private let next = Atomic<Int>(0)

    let isOneServer = true
    var subscriber: any RedisSubscriptions { server }

    init(configuration: RedisConfiguration, locator: (any RedisLocator)? = nil, eventLoopGroup: any EventLoopGroup, logger: Logger) {
        let eventLoops = Array(eventLoopGroup.makeIterator())
        connections = eventLoops.map {
            RedisConnection(configuration: configuration, locator: locator, eventLoop: $0, logger: logger)
        }
        side = SideConnections(configuration: configuration, eventLoops: eventLoops) {
            RedisConnection(configuration: $0, locator: locator, eventLoop: $1, logger: logger)
        }
        server = RedisSubscriber(configuration: configuration, locator: locator, eventLoop: eventLoopGroup.next(), logger: logger)
        for connection in connections { connection.start() }
        server.start()
    }

    /// Makes a topology for the server at the configuration's address. If that server turns out to
    /// be a replica, the pool closes the connection and connects again.
    static func following(
        _ configuration: RedisConfiguration, eventLoopGroup: any EventLoopGroup, logger: Logger
    ) -> SingleTopology {
        let locator = FixedLocator(configuration.address)
        let topology = SingleTopology(configuration: configuration, locator: locator, eventLoopGroup: eventLoopGroup, logger: logger)
        // The finding of one connection holds for all.
        locator.whenDemoted { [weak topology] in topology?.leave($0) }
        return topology
    }

    func route(for key: String, over lane: RedisLane) -> RedisRoute {
        RedisRoute(way: .connection(side.next(lane) ?? connection))
    }

    /// The connection on the caller's own event loop, if the caller runs on one. While that one
    /// reconnects, any that is ready.
    private var connection: RedisConnection {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        let usual =
            connections.first(where: { $0.eventLoop.inEventLoop })
            ?? connections[Int(UInt(bitPattern: index) % UInt(connections.count))]
        return usual.isReady ? usual : connections.first(where: \.isReady) ?? usual
    }

    func location(of key: String) -> KeyLocation { KeyLocation(node: connection.address) }
    func masters() -> [RedisConnection] { [connection] }

    var isReady: Bool { connections.contains(where: \.isReady) }
    var generation: UInt64 { connections.reduce(0) { $0 &+ $1.generation } }

    /// Moves all connections to the server at `address`.
    func follow(_ address: RedisConfiguration.Address) {
        for connection in connections + side.all { connection.follow(address) }
        server.follow(address)
    }

    /// Closes the connections to `address`, which takes no writes any more.
    func leave(_ address: RedisConfiguration.Address) {
        for connection in connections + side.all { connection.leave(address) }
        server.leave(address)
    }

    func check() { server.check() }

    func shutDown() {
        for connection in connections { connection.shutDown() }
        side.shutDown()
        server.shutDown()
    }
}
