import Logging
import NIOCore
import Synchronization

/// One server: one pipelined connection per event loop, and one for all that is subscribed to. Where a locator is given, the server is wherever
/// that finds it.
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

    /// The server at the configuration's address, whichever that is: one that turns out to be a
    /// replica is left, and connected to again.
    static func following(
        _ configuration: RedisConfiguration, eventLoopGroup: any EventLoopGroup, logger: Logger
    ) -> SingleTopology {
        let locator = FixedLocator(configuration.address)
        let topology = SingleTopology(configuration: configuration, locator: locator, eventLoopGroup: eventLoopGroup, logger: logger)
        // What one connection finds out holds for all.
        locator.whenDemoted { [weak topology] in topology?.leave($0) }
        return topology
    }

    func route(for key: String, over lane: RedisLane) -> RedisRoute {
        RedisRoute(way: .connection(side.next(lane) ?? connection))
    }

    /// On the caller's own event loop, where it runs on one. While that one is being made again, one that is ready.
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

    /// The server is at `address` now.
    func follow(_ address: RedisConfiguration.Address) {
        for connection in connections + side.all { connection.follow(address) }
        server.follow(address)
    }

    /// The server at `address` takes no writes any more.
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
