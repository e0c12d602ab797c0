import RedisClient
import Synchronization

/// Knows of each server of Redis whether it was there for the owners of its sessions' steps all the time. After it was not, leases have
/// run out whose replicas live, and these must renew before anybody takes over (I6).
///
/// It goes by what Redis answers, with its time in it, not by connections: one that is lost proves nothing while others bring replies.
/// ``RedisSessionStore/beat()`` asks often enough. The same replies tell the server's clock, the only one that the protocol goes by.
final class OutageDetector: Sendable {
    typealias Address = RedisConfiguration.Address

    private struct State {
        var nodes: [Address: NodeEvidence] = [:]
        /// Slots of a Cluster that were refused because they move, and when their pause is over.
        var moving: [Int: Int64] = [:]

        mutating func forgetSilent(before bound: Int64) {
            nodes = nodes.filter { $0.value.lastAlive >= bound }
        }
    }

    /// Of a server that was silent for longer nothing is known any more.
    private static let memory: Int64 = 60_000
    private static let mostNodes = 2 * ClusterSlots.mostNodes

    private let state = Mutex(State())
    private let start = ContinuousClock.now
    private let quietLimit: Int64
    private let pause: Int64

    /// - Parameter pause: How long lost steps are left alone; zero for never.
    init(lease: Duration, pause: Duration) {
        quietLimit = max(1, lease.milliseconds / 3)
        self.pause = pause.milliseconds
    }

    /// Takes in a reply of `node` to a command.
    ///
    /// - Parameter time: Redis's milliseconds in it. Nothing is made of what can be no time.
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

    /// A command was refused.
    ///
    /// - Returns: Whether Redis does not serve at the moment; else nothing is made of it.
    func refused(_ error: RedisError, at location: KeyLocation) -> Bool {
        guard error.isOfOutage else { return false }
        state.withLock { state in
            let now = local(.now)
            switch error.code {
            case .tryAgain, .ask:
                state.moving = state.moving.filter { $0.value > now }
                state.moving[location.slot] = now + pause
            case .clusterDown:
                // Other nodes of the Cluster say the same to those who ask them.
                for node in state.nodes.keys { state.nodes[node]?.refused(at: now) }
            default:
                state.nodes[location.node]?.refused(at: now)
            }
        }
        return true
    }

    /// Whether a lease there that has run out is a lost replica's.
    func isOver(at location: KeyLocation) -> Bool {
        guard pause > 0 else { return true }
        let now = local(.now)
        // Where the slot was before, time may have passed that this replica has seen nothing of.
        if let since = location.since, now - local(since) < pause { return false }
        return state.withLock { state in
            state.moving[location.slot].map { now >= $0 } ?? true && state.nodes[location.node]?.isTrusted(at: now) ?? false
        }
    }

    /// Whether the clock there was set back a while ago, so that leases and hints may lie too far in the future.
    func wasSetBack(at location: KeyLocation) -> Bool {
        let now = local(.now)
        return state.withLock { $0.nodes[location.node].map { now < $0.staleUntil } ?? false }
    }

    /// The same for any server.
    var wasSetBack: Bool {
        let now = local(.now)
        return state.withLock { $0.nodes.values.contains { now < $0.staleUntil } }
    }

    // MARK: Clocks

    /// A server's time in milliseconds since 1970; nil before its first answer. It survives a local clock that jumps, and within one answer a jump of
    /// Redis's.
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
    /// Whether Redis refuses what it would take at another time: from an owner that renews its lease as well.
    fileprivate var isOfOutage: Bool {
        switch code {
        case .loading, .readOnly, .masterDown, .clusterDown, .tryAgain, .ask, .noReplicas, .busy, .outOfMemory, .writesRefused: true
        default: false
        }
    }
}
