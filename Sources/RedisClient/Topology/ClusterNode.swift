import Logging
import NIOCore
import Synchronization

/// One master of a Cluster: one pipelined connection per event loop, further ones for slow traffic
/// (``RedisLane``), and one for the sharded channels of its slots. Each connects when it is first
/// used.
final class ClusterNode: Sendable {
    let address: RedisConfiguration.Address
    private let subscriber: RedisSubscriber
    private let isListening = Atomic<Bool>(false)
    private let usual: LazyConnections
    private let side: SideConnections

    init(
        _ address: RedisConfiguration.Address, of cluster: RedisConfiguration, eventLoops: [any EventLoop],
        subscriberLoop: any EventLoop, logger: Logger, onMoved: @escaping @Sendable (RedisError) -> Void
    ) {
        self.address = address
        let configuration = cluster.server(at: address)
        usual = LazyConnections(eventLoops: eventLoops) {
            RedisConnection(configuration: configuration, eventLoop: $0, logger: logger)
        }
        side = SideConnections(configuration: configuration, eventLoops: eventLoops) {
            RedisConnection(configuration: $0, eventLoop: $1, logger: logger)
        }
        subscriber = RedisSubscriber(
            configuration: configuration, kind: .shard(onMoved: onMoved), eventLoop: subscriberLoop, logger: logger)
    }

    func connection(_ lane: RedisLane) -> RedisConnection { side.next(lane) ?? usual.next() }

    var isReady: Bool { usual.all.contains(where: \.isReady) }
    var generation: UInt64 { usual.all.reduce(0) { $0 &+ $1.generation } }

    /// Subscribes to a channel of one of the node's slots.
    func listen(to channel: String, _ handler: @escaping RedisSubscriber.Handler) -> RedisSubscription {
        if !isListening.exchange(true, ordering: .acquiringAndReleasing) { subscriber.start() }
        return subscriber.subscribe(channel, handler)
    }

    func check() {
        if isListening.load(ordering: .acquiring) { subscriber.check() }
    }

    func shutDown(telling error: RedisError = .shutDown) {
        usual.shutDown(telling: error)
        side.shutDown(telling: error)
        subscriber.shutDown()
    }
}
