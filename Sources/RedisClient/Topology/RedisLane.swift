import NIOCore

/// The purpose of a connection. A large reply delays all replies behind it, so traffic whose size
/// the client controls has connections of its own.
package enum RedisLane: Sendable, CaseIterable {
    /// Small commands with small replies, pipelined.
    case usual
    /// Commands that are followed by `WAIT`.
    case acknowledging
    /// Replies of any size: histories, journals, lists of sessions.
    case bulk
    /// Reads of logs by followers. They do not wait behind histories.
    case logs

    /// The number of connections per event loop.
    var each: Int { self == .acknowledging ? LazyConnections.waitingEach : 1 }

    /// Whether a reply may take longer than the command's timeout as long as bytes arrive.
    var timesSilence: Bool { self == .bulk || self == .logs }
}

/// The connections to one server beside those of the usual lane. Each is made when it is first
/// used.
struct SideConnections: Sendable {
    private let acknowledging: LazyConnections
    private let bulk: LazyConnections
    private let logs: LazyConnections

    /// - Parameter make: Makes a connection without starting it.
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

    /// Returns a connection of a lane, or nil for the usual lane.
    func next(_ lane: RedisLane) -> RedisConnection? {
        switch lane {
        case .usual: nil
        case .acknowledging: acknowledging.next()
        case .bulk: bulk.next()
        case .logs: logs.next()
        }
    }

    /// The connections made so far.
    var all: [RedisConnection] { acknowledging.all + bulk.all + logs.all }

    func shutDown(telling error: RedisError = .shutDown) {
        for connections in [acknowledging, bulk, logs] { connections.shutDown(telling: error) }
    }
}
