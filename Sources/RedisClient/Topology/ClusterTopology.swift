import Locks
import Logging
import NIOCore

/// A Redis Cluster: a table of the node that has each slot, which replies of nodes correct.
///
/// The topology reads the table again when a node redirects, when a node cannot be reached, and
/// every few seconds, but at most once per ``refreshPause``. Nodes that no table lists any more
/// lose their connections.
final class ClusterTopology: RedisTopology {
    private struct State {
        var slots = ClusterSlots()
        var moves = ClusterMoves()
        /// Whether the Cluster takes commands, as a node reported.
        var isServing = false
        var nodes: [RedisConfiguration.Address: ClusterNode] = [:]
        /// Nodes that the latest table does not list. They are closed with the next table, since
        /// commands may still be in flight.
        var unlisted: Set<RedisConfiguration.Address> = []
        /// The generations of connections that were closed.
        var pastGeneration: UInt64 = 0
        var refresh = Refresh.none
        var lastRefresh = NIODeadline.uptimeNanoseconds(0)
        var turn = 0
        var hasWarned = false
        var isShutDown = false

        mutating func learn(_ new: ClusterSlots) {
            moves.add(new.moved(since: slots), at: .now)
            slots = new
        }
    }

    private enum Refresh {
        case none, scheduled, running
    }

    static let refreshPause = TimeAmount.milliseconds(100)
    /// The number of nodes that are asked for the table before a pause.
    private static let mostAsked = 8

    let isOneServer = false
    private let seeds: [RedisConfiguration.Address]
    private let configuration: RedisConfiguration
    private let eventLoops: [any EventLoop]
    /// The event loop of table reads and of messages.
    let eventLoop: any EventLoop
    private let logger: Logger
    private let state = Guarded(State())
    let listeners = ClusterListeners()
    /// For channels that every node forwards.
    let broadcast: RedisSubscriber
    private let anyNode: RotatingLocator

    init(seeds: [RedisConfiguration.Address], configuration: RedisConfiguration, eventLoopGroup: any EventLoopGroup, logger: Logger) {
        self.seeds = seeds
        self.configuration = configuration
        self.logger = logger
        eventLoops = Array(eventLoopGroup.makeIterator())
        eventLoop = eventLoopGroup.next()
        anyNode = RotatingLocator(seeds)
        broadcast = RedisSubscriber(
            configuration: configuration.server(at: configuration.address), locator: anyNode, eventLoop: eventLoop, logger: logger)
        broadcast.start()
        refreshSoon()
    }

    var subscriber: any RedisSubscriptions { ClusterSubscriptions(topology: self) }

    func route(for key: String, over lane: RedisLane) -> RedisRoute {
        RedisRoute(way: .cluster(ClusterRoute(topology: self, slot: ClusterSlots.slot(of: key), lane: lane)))
    }

    var isReady: Bool {
        state.withLock { $0.isServing && $0.nodes.values.contains(where: \.isReady) }
    }

    var generation: UInt64 {
        state.withLock { state in state.nodes.values.reduce(state.pastGeneration) { $0 &+ $1.generation } }
    }

    func location(of key: String) -> KeyLocation {
        let slot = ClusterSlots.slot(of: key)
        return state.withLock { state in
            KeyLocation(node: state.slots.owner(of: slot) ?? configuration.address, slot: slot, since: state.moves[slot])
        }
    }

    func masters() -> [RedisConnection] {
        state.withLock { $0.slots.nodes }.map { node(at: $0).connection(.usual) }
    }

    // MARK: Nodes

    /// Returns the slot's node. If it is unknown, any node, which will redirect.
    func node(for slot: Int) -> ClusterNode {
        state.withLock { state in
            if let address = state.slots.owner(of: slot) { return node(at: address, &state) }
            if let node = state.nodes.values.first(where: \.isReady) { return node }
            state.turn = (state.turn + 1) % max(1, seeds.count)
            return node(at: seeds.dropFirst(state.turn).first ?? configuration.address, &state)
        }
    }

    func node(at address: RedisConfiguration.Address) -> ClusterNode {
        state.withLock { node(at: address, &$0) }
    }

    private func node(at address: RedisConfiguration.Address, _ state: inout State) -> ClusterNode {
        if let node = state.nodes[address] { return node }
        // A bound on the nodes, whatever a node reports.
        if state.nodes.count >= ClusterSlots.mostNodes, let node = state.nodes.values.first { return node }
        let node = ClusterNode(address, of: configuration, eventLoops: eventLoops, subscriberLoop: eventLoop, logger: logger) {
            [weak self] error in self?.refused(error, by: address)
        }
        if state.isShutDown { node.shutDown() } else { state.nodes[address] = node }
        return node
    }

    // MARK: What nodes say

    /// Records that the slot has moved to this node.
    func moved(_ slot: Int, to address: RedisConfiguration.Address) -> ClusterNode {
        let owner = state.withLock { state in
            var slots = state.slots
            slots.move(slot, to: address)
            state.learn(slots)
            return node(at: address, &state)
        }
        eventLoop.execute { [listeners] in listeners.reroute(slot, to: owner) }
        refreshSoon()
        return owner
    }

    /// Handles an error that the caller also receives.
    func noticed(_ error: RedisError) {
        switch error.code {
        case .connectionFailed, .connectionLost, .timeout, .closed, .moved, .ask, .clusterDown, .masterDown, .readOnly: refreshSoon()
        default: break
        }
    }

    /// Handles a node's refusal of a channel whose slot it does not have.
    private func refused(_ error: RedisError, by node: RedisConfiguration.Address) {
        if case .moved(let slot, let host, let port) = error.code {
            _ = moved(slot, to: ClusterSlots.address(host: host, port: port, asked: node))
        } else {
            refreshSoon()
        }
    }

    // MARK: The table

    func refreshSoon() { scheduleRefresh(after: .zero) }

    private func scheduleRefresh(after pause: TimeAmount) {
        let due = state.withLock { state -> NIODeadline? in
            guard !state.isShutDown, state.refresh == .none else { return nil }
            state.refresh = .scheduled
            return max(.now() + pause, state.lastRefresh + Self.refreshPause)
        }
        guard let due else { return }
        eventLoop.scheduleTask(deadline: due) { [weak self] in self?.refresh() }
    }

    private func refresh() {
        let candidates = state.withLock { state -> [RedisConfiguration.Address] in
            state.refresh = .running
            state.lastRefresh = .now()
            let ready = state.nodes.filter(\.value.isReady).keys.shuffled()
            let others = state.nodes.keys.filter { !ready.contains($0) }.shuffled()
            let unused = seeds.filter { state.nodes[$0] == nil }.shuffled()
            // Some silent nodes are asked each time, so that one that has recovered is found in the
            // end.
            return Array(ready.prefix(Self.mostAsked)) + (others + unused).shuffled().prefix(Self.mostAsked)
        }
        ask(candidates[...])
    }

    private func ask(_ candidates: ArraySlice<RedisConfiguration.Address>) {
        guard let address = candidates.first else { return unanswered() }
        let connection = node(at: address).connection(.usual)
        connection.submit(RedisCommand("CLUSTER", "SLOTS")) { [weak self] result in
            guard let self else { return }
            guard case .success(let reply) = result, let slots = ClusterSlots(reply, asked: address) else {
                logger.debug("redis: a node does not tell the table of slots", metadata: ["node": "\(address)", "result": "\(result)"])
                return ask(candidates.dropFirst())
            }
            connection.submit(RedisCommand("CLUSTER", "INFO")) { [weak self] result in
                // A user without the right to ask uses the table alone.
                let says = (try? result.get().string).map { $0.contains("cluster_state:ok") }
                self?.refreshed(slots, isServing: slots.isComplete && says != false)
            }
        }
    }

    private func refreshed(_ slots: ClusterSlots, isServing: Bool) {
        let gone = state.withLock { state -> [ClusterNode] in
            state.refresh = .none
            state.learn(slots)
            (state.isServing, state.hasWarned) = (isServing, false)
            let unlisted = Set(state.nodes.keys).subtracting(slots.nodes)
            let gone = unlisted.intersection(state.unlisted).compactMap { state.nodes.removeValue(forKey: $0) }
            state.unlisted = unlisted.subtracting(gone.map(\.address))
            for node in gone { state.pastGeneration &+= node.generation }
            return gone
        }
        // A subscription that waits for this node may succeed at another one.
        let loss = RedisError(.connectionLost, "the node is no part of the Cluster any more", mayHaveBeenApplied: true)
        for node in gone { node.shutDown(telling: loss) }
        anyNode.update(slots.nodes)
        listeners.reroute { node(for: $0) }
        // A Cluster that does not serve is asked again until it does.
        if !isServing { scheduleRefresh(after: TimeAmount(configuration.reconnectLimit)) }
    }

    private func unanswered() {
        let warns = state.withLock { state in
            state.refresh = .none
            state.isServing = false
            defer { state.hasWarned = true }
            return !state.hasWarned && !state.isShutDown
        }
        if warns {
            logger.warning("redis: no node of the Cluster tells which node has which slot", metadata: ["redis": "\(configuration)"])
        }
        scheduleRefresh(after: TimeAmount(configuration.reconnectLimit))
    }

    func check() {
        refreshSoon()
        broadcast.check()
        for node in state.withLock({ Array($0.nodes.values) }) { node.check() }
    }

    func shutDown() {
        let nodes = state.withLock { state in
            state.isShutDown = true
            defer { state.nodes = [:] }
            return Array(state.nodes.values)
        }
        broadcast.shutDown()
        for node in nodes { node.shutDown() }
    }
}
