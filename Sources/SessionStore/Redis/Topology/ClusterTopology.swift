import Logging
import NIOCore
import Synchronization

/// A Redis Cluster: knows which node has which slot, and corrects what it knows by what nodes answer.
///
/// The table of slots is read anew when a node redirects, when one cannot be reached, and every few seconds; at most once per
/// ``refreshPause``. Nodes that are in no table any more lose their connections.
final class ClusterTopology: RedisTopology {
    private struct State {
        var slots = ClusterSlots()
        var moves = ClusterMoves()
        /// Whether the Cluster takes commands, by a node's word.
        var isServing = false
        var nodes: [RedisConfiguration.Address: ClusterNode] = [:]
        /// Nodes that the latest table does not list. They go with the next one: something may be under way still.
        var unlisted: Set<RedisConfiguration.Address> = []
        /// Of connections that are gone.
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
    /// Nodes that are asked for the table before a pause is made.
    private static let mostAsked = 8

    let isOneServer = false
    private let seeds: [RedisConfiguration.Address]
    private let configuration: RedisConfiguration
    private let eventLoops: [any EventLoop]
    /// Where the table is asked for, and where messages arrive.
    let eventLoop: any EventLoop
    private let logger: Logger
    private let state = Mutex(State())
    let listeners = ClusterListeners()
    /// For channels that every node passes on.
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

    /// The slot's node; where that is not known, another one, which will say.
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
        // Whatever a node says, there is a bound.
        if state.nodes.count >= ClusterSlots.mostNodes, let node = state.nodes.values.first { return node }
        let node = ClusterNode(address, of: configuration, eventLoops: eventLoops, subscriberLoop: eventLoop, logger: logger) {
            [weak self] error in self?.refused(error, by: address)
        }
        if state.isShutDown { node.shutDown() } else { state.nodes[address] = node }
        return node
    }

    // MARK: What nodes say

    /// The slot is at this node from now on.
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

    /// A command has failed, and the caller is told.
    func noticed(_ error: RedisError) {
        switch error.code {
        case .connectionFailed, .connectionLost, .timeout, .closed, .moved, .ask, .clusterDown, .masterDown, .readOnly: refreshSoon()
        default: break
        }
    }

    /// A node does not have a channel's slot, or no longer.
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
            // Of those that do not answer some each time, so that one that does is found in the end.
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
                // A user who may not ask goes by the table alone.
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
        // What waits for it may be answered by another node, if it is asked again.
        let loss = RedisError(.connectionLost, "the node is no part of the Cluster any more", mayHaveBeenApplied: true)
        for node in gone { node.shutDown(telling: loss) }
        anyNode.update(slots.nodes)
        listeners.reroute { node(for: $0) }
        // What does not serve is looked at until it does.
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
