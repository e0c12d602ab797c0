import Locks
import NIOCore
import NIOPosix
public import RedisClient
import SessionStore

/// A loopback proxy before a Redis server. It drops, holds and cuts requests and replies when a
/// test asks for it.
///
/// The proxy parses requests and replies, so that a fault hits exactly the intended command. It
/// passes pub/sub messages on, which do not count as replies.
public final class FaultyProxy: Sendable {
    /// A fault of one request. It does not affect other requests of the connection, unless it ends
    /// the connection.
    public enum Fault: Sendable {
        /// The request never reaches the server, and the connection is cut.
        case loseRequest
        /// The server executes the request. The connection is cut in place of the reply.
        case loseReply
        /// The server executes the request. This reply and all later ones never arrive, and the
        /// connection remains open.
        case swallowReply
        /// The server executes the request. This reply and all later ones arrive after
        /// ``FaultyProxy/releaseReplies()``.
        case holdReply
        /// Only the first bytes of the reply arrive, then the connection is cut.
        case cutReply(after: Int)
        /// The server does not get the request. This text arrives as the reply.
        case answer(String)
    }

    private let rules: ProxyRules
    private let listener: any Channel
    public let port: Int

    /// The configuration of a client that uses this proxy.
    public var configuration: RedisConfiguration { RedisConfiguration(.tcp(host: "127.0.0.1", port: port)) }
    public var url: String { "redis://127.0.0.1:\(port)" }

    /// - Parameters:
    ///   - target: The server's loopback port.
    ///   - isRaw: Whether to pass bytes on without parsing, as TLS needs. Only holding, refusing
    ///     and cutting work then.
    public static func start(to target: Int, isRaw: Bool = false) async throws -> FaultyProxy {
        let rules = ProxyRules(target: target, isRaw: isRaw)
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(ProxyLink(rules)) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return FaultyProxy(rules, listener, port: listener.localAddress?.port ?? 0)
    }

    public static func start(to server: RedisServer) async throws -> FaultyProxy { try await start(to: server.port) }

    private init(_ rules: ProxyRules, _ listener: any Channel, port: Int) {
        (self.rules, self.listener, self.port) = (rules, listener, port)
    }

    /// Applies `fault` to the next requests whose words `matches` accepts. Faults apply in the
    /// order of injection, at most one to each request.
    public func inject(_ fault: Fault, times: Int = 1, when matches: @escaping @Sendable ([String]) -> Bool) {
        rules.state.withLock { $0.faults.append(ProxyRules.Rule(fault: fault, remaining: times, matches: matches)) }
    }

    /// Applies `fault` to the next requests with this first word, in the spelling that is sent
    /// (`EVALSHA`, `PING`).
    public func inject(_ fault: Fault, on command: String, times: Int = 1) {
        inject(fault, times: times) { $0.first == command }
    }

    /// Removes the faults that have not hit a request yet.
    public func clearFaults() { rules.state.withLock { $0.faults = [] } }

    /// From now on, records each request that begins a round trip: a request that arrives while no
    /// reply is due on its connection.
    ///
    /// - Parameter ignored: Accepts the words of requests that do not count.
    public func noteRoundTrips(ignoring ignored: @escaping @Sendable ([String]) -> Bool) {
        rules.state.withLock { state in
            state.roundTrips = []
            state.isIgnored = ignored
        }
    }

    /// The words of the recorded requests.
    public var roundTrips: [[String]] { rules.state.withLock { $0.roundTrips } }

    /// The number of requests that a fault has hit.
    public var hits: Int { rules.state.withLock { $0.hits } }
    /// The number of connections opened to this proxy so far.
    public var accepted: Int { rules.state.withLock { $0.accepted } }
    /// The number of open connections.
    public var connections: Int { rules.state.withLock { $0.links.count } }
    /// The number of replies (for TLS: pieces) that the proxy holds.
    public var heldReplies: Int { rules.state.withLock { $0.held } }

    /// Holds replies from now on, on every connection.
    public func holdReplies() { rules.state.withLock { $0.isHolding = true } }

    /// Passes the held replies on, in order, and holds no further ones.
    public func releaseReplies() async throws {
        rules.state.withLock { $0.isHolding = false }
        try await each { $0.release() }
    }

    /// From now on, sends replies as over one link that carries this many bytes per second, and
    /// that all connections share.
    public func slowDown(to bytesPerSecond: Int) { rules.state.withLock { $0.bytesPerSecond = bytesPerSecond } }

    /// The bytes of replies that were sent over the slow link.
    public var slowBytes: Int { rules.state.withLock { $0.slowBytes } }

    /// Cuts all connections, and returns when they are cut.
    public func cut() async throws { try await each { $0.cut() } }

    /// Sets whether the proxy closes new connections at once. Open connections remain.
    public func refuse(_ isRefusing: Bool) { rules.state.withLock { $0.isRefusing = isRefusing } }

    /// Connects new connections to another server. Open connections remain.
    public func redirect(to server: RedisServer) { rules.state.withLock { $0.target = server.port } }

    /// Closes all connections and the port.
    public func stop() async throws {
        try await listener.close()
        try await cut()
    }

    private func each(_ body: @escaping @Sendable (ProxyLink) -> Void) async throws {
        for link in rules.state.withLock({ Array($0.links.values) }) {
            try await link.eventLoop.submit { body(link.value.value) }.get()
        }
    }
}

/// The state that a proxy and its connections share.
final class ProxyRules: Sendable {
    struct Rule {
        let fault: FaultyProxy.Fault
        var remaining: Int
        let matches: @Sendable ([String]) -> Bool
    }

    struct Link {
        let eventLoop: any EventLoop
        let value: NIOLoopBound<ProxyLink>
    }

    struct State {
        var target: Int
        var faults: [Rule] = []
        var links: [Int: Link] = [:]
        var hits = 0
        var accepted = 0
        var held = 0
        var isHolding = false
        var isRefusing = false
        /// The speed of the slow link; nil for a link without delay.
        var bytesPerSecond: Int?
        var slowBytes = 0
        /// The time at which the slow link has sent the bytes that it has accepted.
        var linkIsFree = NIODeadline.uptimeNanoseconds(0)
        var roundTrips: [[String]] = []
        var isIgnored: @Sendable ([String]) -> Bool = { _ in true }
    }

    let state: Guarded<State>
    let isRaw: Bool

    init(target: Int, isRaw: Bool) {
        state = Guarded(State(target: target))
        self.isRaw = isRaw
    }

    /// - Returns: The link's number and the port of the server; nil if the proxy must refuse the
    ///   connection.
    func opened(_ link: Link) -> (number: Int, target: Int)? {
        state.withLock { state in
            state.accepted += 1
            guard !state.isRefusing else { return nil }
            state.links[state.accepted] = link
            return (state.accepted, state.target)
        }
    }

    /// - Parameter isIdle: Whether no reply is due on the connection.
    /// - Returns: Whether the request counts as a round trip.
    func noteRoundTrip(_ words: [String], isIdle: Bool) -> Bool {
        state.withLock { state in
            guard !state.isIgnored(words) else { return false }
            if isIdle { state.roundTrips.append(words) }
            return true
        }
    }

    var isSlow: Bool { state.withLock { $0.bytesPerSecond != nil } }

    /// Returns the time at which the link will have sent this many more bytes.
    func reserve(_ bytes: Int) -> NIODeadline {
        state.withLock { state in
            state.slowBytes += bytes
            let time = TimeAmount.nanoseconds(Int64(bytes) * 1_000_000_000 / Int64(max(1, state.bytesPerSecond ?? .max)))
            state.linkIsFree = max(.now(), state.linkIsFree) + time
            return state.linkIsFree
        }
    }

    func fault(for words: [String]) -> FaultyProxy.Fault? {
        state.withLock { state in
            guard let index = state.faults.firstIndex(where: { $0.remaining > 0 && $0.matches(words) }) else { return nil }
            state.faults[index].remaining -= 1
            state.hits += 1
            return state.faults[index].fault
        }
    }
}
