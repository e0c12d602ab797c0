import Logging
import NIOCore

/// A master that sentinels watch over: like a single server, but found anew for every connection.
///
/// That the master has moved is learned in three ways, of which one suffices: sentinels say so, a write is refused with `-READONLY`, or the
/// connection is lost. Each connection asks the server for its role before it is used.
final class SentinelTopology: RedisTopology {
    private let servers: SingleTopology
    /// Over a connection to whichever sentinel answers.
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
        // What one connection finds out holds for all.
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
                // What was published before has gone unheard.
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
