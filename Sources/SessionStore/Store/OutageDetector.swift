import Locks
import RedisClient

/// Knows, for each server of Redis, whether it served the owners of its sessions' steps all the
/// time. After an outage, leases have run out although their replicas live. These must renew first,
/// before any replica takes their steps over (I6).
///
/// The evidence is Redis's replies with Redis's time in them, and not connections: a lost
/// connection proves nothing while others bring replies. ``RedisSessionStore/beat()`` asks often
/// enough. The same replies give the server's clock, the only clock that the protocol uses.
final class OutageDetector: Sendable {
    typealias Address = RedisConfiguration.Address

    private struct State {
        var nodes: [Address: NodeEvidence] = [:]
        /// Slots of a Cluster that were refused because they are moving, and when the pause of each
        /// ends.
        var moving: [Int: Int64] = [:]

        mutating func forgetSilent(before bound: Int64) {
            nodes = nodes.filter { $0.value.lastAlive >= bound }
        }
    }

    /// Servers that have been silent for longer are forgotten.
    private static let memory: Int64 = 60_000
    private static let mostNodes = 2 * ClusterSlots.mostNodes

    private let state = Guarded(State())
    private let start = ContinuousClock.now
    private let quietLimit: Int64
    private let pause: Int64

    /// - Parameter pause: How long lost steps are left alone after an outage; zero for not at all.
    init(lease: Duration, pause: Duration) {
        quietLimit = max(1, lease.milliseconds / 3)
        self.pause = pause.milliseconds
    }

    /// Records a reply of `node` to a command.
    ///
    /// - Parameter time: Redis's milliseconds in it. A number that cannot be a time is ignored.
    func heard(_ time: Int64, from node: Address, sent: ContinuousClock.Instant) {
        guard (0...(1 << 53)).contains(time) else { return }
        state.withLock { state in
            let (sent, now) = (local(sent), local(.now))
            guard state.nodes[node]?.heard(time, sent: sent, received: now) == nil else { return }
            if state.nodes.count >= Self.mostNodes { state.forgetSilent(before: now - Self.memory) }
            guard state.nodes.count < Self.mostNodes else { return }
            state.nodes[node] = NodeEvidence(time, sent: sent, received: now, quietLimit: quietLimit, pause: pause)
        }
    }

    /// Records that a command was refused.
    ///
    /// - Returns: Whether Redis does not serve at the moment. Other refusals are ignored.
    func refused(_ error: RedisError, at location: KeyLocation) -> Bool {
        guard error.isOfOutage else { return false }
        state.withLock { state in
            let now = local(.now)
            switch error.code {
            case .tryAgain, .ask:
                state.moving = state.moving.filter { $0.value > now }
                state.moving[location.slot] = now + pause
            case .clusterDown:
                // Other nodes of the Cluster reply the same to their clients.
                for node in state.nodes.keys { state.nodes[node]?.refused(at: now) }
            default:
                state.nodes[location.node]?.refused(at: now)
            }
        }
        return true
    }

    /// Whether a lease at this location that has run out proves that its replica is lost.
    func isOver(at location: KeyLocation) -> Bool {
        guard pause > 0 else { return true }
        let now = local(.now)
        // At the slot's former node, time may have passed that this replica knows nothing of.
        if let since = location.since, now - local(since) < pause { return false }
        return state.withLock { state in
            state.moving[location.slot].map { now >= $0 } ?? true && state.nodes[location.node]?.isTrusted(at: now) ?? false
        }
    }

    /// Whether the clock at this location was set back lately, so that leases and hints may lie too
    /// far in the future.
    func wasSetBack(at location: KeyLocation) -> Bool {
        let now = local(.now)
        return state.withLock { $0.nodes[location.node].map { now < $0.staleUntil } ?? false }
    }

    /// Whether the clock of any server was set back lately.
    var wasSetBack: Bool {
        let now = local(.now)
        return state.withLock { $0.nodes.values.contains { now < $0.staleUntil } }
    }

    // MARK: Clocks

    /// Returns a server's time in milliseconds since 1970; nil before its first reply. It survives
    /// a jump of the local clock and, from the next reply on, a jump of Redis's clock.
    func time(of node: Address) -> Int64? {
        state.withLock { $0.nodes[node]?.time(at: local(.now)) }
    }

    /// The time of the server whose clock is ahead of the others'.
    var latestTime: Int64? {
        let now = local(.now)
        return state.withLock { state in
            state.nodes.values.lazy.filter { now - $0.lastAlive < Self.memory }.map { $0.time(at: now) }.max()
        }
    }

    private func local(_ instant: ContinuousClock.Instant) -> Int64 { start.duration(to: instant).milliseconds }
}

extension RedisError {
    /// Whether Redis refuses what it would accept at another time. It then refuses owners that
    /// renew their leases, too.
    fileprivate var isOfOutage: Bool {
        switch code {
        case .loading, .readOnly, .masterDown, .clusterDown, .tryAgain, .ask, .noReplicas, .busy, .outOfMemory, .writesRefused: true
        default: false
        }
    }
}
