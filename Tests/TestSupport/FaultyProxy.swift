import NIOCore
import NIOPosix
public import RedisClient
import SessionStore
import Synchronization

/// A loopback proxy in front of a Redis server that loses, holds and cuts what the test tells it to.
///
/// It knows one request or reply from the next, so that a fault hits exactly the command that is meant. Messages of pub/sub
/// are passed on and count as nobody's reply.
public final class FaultyProxy: Sendable {
    /// What happens to a request. The connection's other requests are not touched, unless the fault ends the connection.
    public enum Fault: Sendable {
        /// It never reaches the server, and the connection is cut.
        case loseRequest
        /// The server executes it; when its reply comes, the connection is cut instead.
        case loseReply
        /// The server executes it; its reply and all that follow never come, and the connection stays open.
        case swallowReply
        /// The server executes it; its reply and all that follow come after ``FaultyProxy/releaseReplies()``.
        case holdReply
        /// Only these first bytes of its reply come, then the connection is cut.
        case cutReply(after: Int)
        /// The server is not asked; this comes as the reply.
        case answer(String)
    }

    private let rules: ProxyRules
    private let listener: any Channel
    public let port: Int

    /// How a client reaches the server through this proxy.
    public var configuration: RedisConfiguration { RedisConfiguration(.tcp(host: "127.0.0.1", port: port)) }
    public var url: String { "redis://127.0.0.1:\(port)" }

    /// - Parameters:
    ///   - target: The server's loopback port.
    ///   - isRaw: Passes bytes on as they come, for TLS. Only holding, refusing and cutting work then.
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

    /// Applies `fault` to the next requests that `matches` accepts; it is given a request's words. Faults are tried in the order
    /// in which they were injected, and each request meets at most one.
    public func inject(_ fault: Fault, times: Int = 1, when matches: @escaping @Sendable ([String]) -> Bool) {
        rules.state.withLock { $0.faults.append(ProxyRules.Rule(fault: fault, remaining: times, matches: matches)) }
    }

    /// Applies `fault` to the next requests with this first word, as it is sent (`EVALSHA`, `PING`).
    public func inject(_ fault: Fault, on command: String, times: Int = 1) {
        inject(fault, times: times) { $0.first == command }
    }

    /// Forgets the faults that have hit nothing yet.
    public func clearFaults() { rules.state.withLock { $0.faults = [] } }

    /// From now on requests are noted that begin a round trip: those that come over a connection on which no reply is due.
    ///
    /// - Parameter ignored: Requests that count for nothing, given their words.
    public func noteRoundTrips(ignoring ignored: @escaping @Sendable ([String]) -> Bool) {
        rules.state.withLock { state in
            state.roundTrips = []
            state.isIgnored = ignored
        }
    }

    /// The words of what was noted.
    public var roundTrips: [[String]] { rules.state.withLock { $0.roundTrips } }

    /// How many requests met a fault.
    public var hits: Int { rules.state.withLock { $0.hits } }
    /// How many connections were ever opened to this proxy.
    public var accepted: Int { rules.state.withLock { $0.accepted } }
    /// How many are open now.
    public var connections: Int { rules.state.withLock { $0.links.count } }
    /// How many replies (of TLS: pieces) are held back now.
    public var heldReplies: Int { rules.state.withLock { $0.held } }

    /// From now on replies are held back, on every connection.
    public func holdReplies() { rules.state.withLock { $0.isHolding = true } }

    /// What was held back is passed on, in order, and nothing more is held.
    public func releaseReplies() async throws {
        rules.state.withLock { $0.isHolding = false }
        try await each { $0.release() }
    }

    /// From now on replies come as over one link that all connections share, of so many bytes per second.
    public func slowDown(to bytesPerSecond: Int) { rules.state.withLock { $0.bytesPerSecond = bytesPerSecond } }

    /// Bytes of replies that went over the slow link.
    public var slowBytes: Int { rules.state.withLock { $0.slowBytes } }

    /// Cuts all connections; done when it returns.
    public func cut() async throws { try await each { $0.cut() } }

    /// Whether new connections are closed at once. Those that are open stay.
    public func refuse(_ isRefusing: Bool) { rules.state.withLock { $0.isRefusing = isRefusing } }

    /// New connections go to another server; those that are open stay.
    public func redirect(to server: RedisServer) { rules.state.withLock { $0.target = server.port } }

    /// Closes everything.
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

/// What a proxy and its connections share.
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
        /// Nil for a link that takes no time.
        var bytesPerSecond: Int?
        var slowBytes = 0
        /// When the slow link has sent what it has.
        var linkIsFree = NIODeadline.uptimeNanoseconds(0)
        var roundTrips: [[String]] = []
        var isIgnored: @Sendable ([String]) -> Bool = { _ in true }
    }

    let state: Mutex<State>
    let isRaw: Bool

    init(target: Int, isRaw: Bool) {
        state = Mutex(State(target: target))
        self.isRaw = isRaw
    }

    /// - Returns: The link's number and the port of the server; nil when it is to be refused.
    func opened(_ link: Link) -> (number: Int, target: Int)? {
        state.withLock { state in
            state.accepted += 1
            guard !state.isRefusing else { return nil }
            state.links[state.accepted] = link
            return (state.accepted, state.target)
        }
    }

    /// - Parameter isIdle: Whether no reply is due to its connection.
    /// - Returns: Whether the request counts towards round trips.
    func noteRoundTrip(_ words: [String], isIdle: Bool) -> Bool {
        state.withLock { state in
            guard !state.isIgnored(words) else { return false }
            if isIdle { state.roundTrips.append(words) }
            return true
        }
    }

    var isSlow: Bool { state.withLock { $0.bytesPerSecond != nil } }

    /// When the link has sent so many bytes more.
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
