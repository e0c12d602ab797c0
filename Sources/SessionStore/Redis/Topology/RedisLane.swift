import NIOCore

/// What a connection to a server is for. A large reply holds up whatever comes behind it, so what a client may make large has connections of its own.
enum RedisLane: Sendable, CaseIterable {
    /// Pipelined with all that turns do: small commands with small replies.
    case usual
    /// Commands that are followed by `WAIT`.
    case acknowledging
    /// Replies that are as large as a client likes: histories, journals, lists of sessions.
    case bulk
    /// What viewers read of logs. They do not wait behind histories.
    case logs

    /// Connections on each event loop.
    var each: Int { self == .acknowledging ? LazyConnections.waitingEach : 1 }

    /// Whether a reply may take any time, as long as something of it comes.
    var timesSilence: Bool { self == .bulk || self == .logs }
}

/// The connections to one server beside the usual ones. Each is made when it is first wanted.
struct SideConnections: Sendable {
    private let acknowledging: LazyConnections
    private let bulk: LazyConnections
    private let logs: LazyConnections

    /// - Parameter make: Makes a connection that is not started yet.
    init(
        configuration: RedisConfiguration, eventLoops: [any EventLoop],
        make: @escaping @Sendable (RedisConfiguration, any EventLoop) -> RedisConnection
    ) {
        func connections(_ lane: RedisLane) -> LazyConnections {
            var configuration = configuration
            configuration.timesSilence = lane.timesSilence
            return LazyConnections(eventLoops: eventLoops, each: lane.each) { [configuration] in make(configuration, $0) }
        }
        (acknowledging, bulk, logs) = (connections(.acknowledging), connections(.bulk), connections(.logs))
    }

    /// A connection of a lane; nil for the usual one, which is not of these.
    func next(_ lane: RedisLane) -> RedisConnection? {
        switch lane {
        case .usual: nil
        case .acknowledging: acknowledging.next()
        case .bulk: bulk.next()
        case .logs: logs.next()
        }
    }

    /// Those that were made.
    var all: [RedisConnection] { acknowledging.all + bulk.all + logs.all }

    func shutDown(telling error: RedisError = .shutDown) {
        for connections in [acknowledging, bulk, logs] { connections.shutDown(telling: error) }
    }
}
