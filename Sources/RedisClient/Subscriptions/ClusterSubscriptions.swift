import Locks
import NIOCore

/// The subscriptions on a Cluster. A sharded channel is subscribed at its slot's node
/// (`SSUBSCRIBE`), any other channel at one node of the pool's choice.
struct ClusterSubscriptions: RedisSubscriptions {
    let topology: ClusterTopology

    var eventLoop: any EventLoop { topology.eventLoop }

    func subscribe(_ channel: String, _ handler: @escaping RedisSubscriber.Handler) -> RedisSubscription {
        topology.broadcast.subscribe(channel, handler)
    }

    func subscribe(sharded channel: String, _ handler: @escaping RedisSubscriber.Handler) -> RedisSubscription {
        let listener = ClusterListener(channel: channel, handler: handler)
        topology.listeners.add(listener)
        listener.move(to: topology.node(for: listener.slot))
        return RedisSubscription { [listeners = topology.listeners] in
            listeners.remove(listener)
            listener.cancel()
        }
    }

    func check() { topology.check() }
}

/// All listeners of sharded channels. Each follows its slot from node to node.
final class ClusterListeners: Sendable {
    private let bySlot = Guarded<[Int: [ObjectIdentifier: ClusterListener]]>([:])

    func add(_ listener: ClusterListener) {
        bySlot.withLock { $0[listener.slot, default: [:]][ObjectIdentifier(listener)] = listener }
    }

    func remove(_ listener: ClusterListener) {
        bySlot.withLock { bySlot in
            bySlot[listener.slot]?[ObjectIdentifier(listener)] = nil
            if bySlot[listener.slot]?.isEmpty == true { bySlot[listener.slot] = nil }
        }
    }

    /// Moves each listener to the node that has its slot.
    func reroute(_ node: (_ slot: Int) -> ClusterNode) {
        for slot in bySlot.withLock({ Array($0.keys) }) { reroute(slot, to: node(slot)) }
    }

    func reroute(_ slot: Int, to node: ClusterNode) {
        for listener in bySlot.withLock({ $0[slot].map { Array($0.values) } ?? [] }) { listener.move(to: node) }
    }
}

/// One listener of a sharded channel, subscribed at one node at a time.
final class ClusterListener: Sendable {
    private struct State {
        var node: ClusterNode?
        var subscription: RedisSubscription?
        var isCancelled = false
    }

    let channel: String
    let slot: Int
    private let handler: RedisSubscriber.Handler
    private let state = Guarded(State())

    init(channel: String, handler: @escaping RedisSubscriber.Handler) {
        self.channel = channel
        self.handler = handler
        slot = ClusterSlots.slot(of: channel)
    }

    func move(to node: ClusterNode) {
        let moves = state.withLock { state in
            guard !state.isCancelled, state.node !== node else { return false }
            state.node = node
            return true
        }
        guard moves else { return }
        // Outside of the lock, since `listen` may call the handler directly.
        let subscription = node.listen(to: channel, handler)
        let old = state.withLock { state in
            // The listener was moved again or cancelled meanwhile.
            guard !state.isCancelled, state.node === node else { return subscription as RedisSubscription? }
            defer { state.subscription = subscription }
            return state.subscription
        }
        old?.cancel()
    }

    func cancel() {
        let subscription = state.withLock { state in
            state.isCancelled = true
            defer { (state.node, state.subscription) = (nil, nil) }
            return state.subscription
        }
        subscription?.cancel()
    }
}
