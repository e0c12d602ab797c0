import Logging
import NIOCore

/// A master that sentinels watch: a single server whose address is looked up before each attempt to
/// connect.
///
/// Three events reveal that the master has moved, and each suffices: sentinels publish it, a server
/// refuses a write with `READONLY`, or the connection is lost. Each connection asks the server for
/// its role before it is used.
final class SentinelTopology: RedisTopology {
    private let servers: SingleTopology
    /// Subscribed at whichever sentinel accepts the connection.
    private let watch: RedisSubscriber
    private let subscription: RedisSubscription

    let isOneServer = true
    var subscriber: any RedisSubscriptions { servers.subscriber }
    var isReady: Bool { servers.isReady }
    var generation: UInt64 { servers.generation }

    init(_ group: SentinelGroup, configuration: RedisConfiguration, eventLoopGroup: any EventLoopGroup, logger: Logger) {
        let eventLoop = eventLoopGroup.next()
        let locator = SentinelLocator(group, configuration: configuration, eventLoop: eventLoop)
        let servers = SingleTopology(configuration: configuration, locator: locator, eventLoopGroup: eventLoopGroup, logger: logger)
        self.servers = servers
        // The finding of one connection holds for all.
        locator.whenRejected { [weak servers] in servers?.leave($0) }
        watch = RedisSubscriber(
            configuration: group.configuration(of: configuration, sentinel: configuration.address),
            locator: RotatingLocator(group.sentinels),
            eventLoop: eventLoop, logger: logger)
        subscription = watch.subscribe(SwitchMaster.channel) { signal in
            switch signal {
            case .message(let message):
                guard let news = SwitchMaster(message), news.masterName == group.masterName else { return }
                logger.notice("redis: the master has moved", metadata: ["master": "\(group.masterName)", "address": "\(news.address)"])
                servers.follow(news.address)
            case .subscribed:
                // Messages published before are lost.
                locator.locate(on: eventLoop).whenSuccess { servers.follow($0) }
            }
        }
        watch.start()
    }

    func route(for key: String, over lane: RedisLane) -> RedisRoute { servers.route(for: key, over: lane) }
    func location(of key: String) -> KeyLocation { servers.location(of: key) }
    func masters() -> [RedisConnection] { servers.masters() }

    func check() {
        watch.check()
        servers.check()
    }

    func shutDown() {
        subscription.cancel()
        watch.shutDown()
        servers.shutDown()
    }
}
