import Locks
import NIOCore
import NIOPosix
public import RedisClient
import SessionStore

/// A loopback proxy in front of a Redis server. It loses, holds and cuts requests and replies on a
/// test's command.
///
/// The proxy parses requests and replies, so that a fault hits exactly the intended command. It
/// passes on messages of pub/sub, which do not count as replies.
public final class FaultyProxy: Sendable {
    /// A fault of one request. Other requests of the connection are unaffected, unless the fault
    /// ends the connection.
    public enum Fault: Sendable {
        /// The request never reaches the server, and the connection is cut.
        case loseRequest
        /// The server executes the request. The connection is cut in place of the reply.
        case loseReply
        /// The server executes the request. Its reply and all later ones never come, and the
        /// connection stays open.
        case swallowReply
        /// The server executes the request. Its reply and all later ones come after
        /// ``FaultyProxy/releaseReplies()``.
        case holdReply
        /// Only these first bytes of the reply come, then the connection is cut.
        case cutReply(after: Int)
        /// The server does not see the request. This text comes as the reply.
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
    ///   - isRaw: Passes bytes on as they come, for TLS. Only holding, refusing and cutting work
    ///     then.
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

    /// Applies `fault` to the next requests that `matches` accepts, given their words. Faults apply
    /// in the order of injection, and each request meets at most one.
    public func inject(_ fault: Fault, times: Int = 1, when matches: @escaping @Sendable ([String]) -> Bool) {
        rules.state.withLock { $0.faults.append(ProxyRules.Rule(fault: fault, remaining: times, matches: matches)) }
    }

    /// Applies `fault` to the next requests with this first word, as it is sent (`EVALSHA`,
    /// `PING`).
    public func inject(_ fault: Fault, on command: String, times: Int = 1) {
        inject(fault, times: times) { $0.first == command }
    }

    /// Removes the faults that have not hit a request yet.
    public func clearFaults() { rules.state.withLock { $0.faults = [] } }

    /// Notes from now on each request that begins a round trip: it comes while no reply is due on
    /// its connection.
    ///
    /// - Parameter ignored: Accepts the words of requests that do not count.
    public func noteRoundTrips(ignoring ignored: @escaping @Sendable ([String]) -> Bool) {
        rules.state.withLock { state in
            state.roundTrips = []
            state.isIgnored = ignored
        }
    }

    /// The words of the noted requests.
    public var roundTrips: [[String]] { rules.state.withLock { $0.roundTrips } }

    /// The number of requests that met a fault.
    public var hits: Int { rules.state.withLock { $0.hits } }
    /// The number of connections opened to this proxy so far.
    public var accepted: Int { rules.state.withLock { $0.accepted } }
    /// The number of open connections.
    public var connections: Int { rules.state.withLock { $0.links.count } }
    /// The number of replies (for TLS: pieces) that are held back.
    public var heldReplies: Int { rules.state.withLock { $0.held } }

    /// Holds replies back from now on, on every connection.
    public func holdReplies() { rules.state.withLock { $0.isHolding = true } }

    /// Passes on the replies that are held back, in order, and holds back no more.
    public func releaseReplies() async throws {
        rules.state.withLock { $0.isHolding = false }
        try await each { $0.release() }
    }

    /// Sends replies from now on as over one link of so many bytes per second, which all
    /// connections share.
    public func slowDown(to bytesPerSecond: Int) { rules.state.withLock { $0.bytesPerSecond = bytesPerSecond } }

    /// The bytes of replies that went over the slow link.
    public var slowBytes: Int { rules.state.withLock { $0.slowBytes } }

    /// Cuts all connections, and returns when they are cut.
    public func cut() async throws { try await each { $0.cut() } }

    /// Sets whether new connections close at once. Open connections stay.
    public func refuse(_ isRefusing: Bool) { rules.state.withLock { $0.isRefusing = isRefusing } }

    /// Sends new connections to another server. Open connections stay.
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
        /// Nil for a link that takes no time.
        var bytesPerSecond: Int?
        var slowBytes = 0
        /// The time at which the slow link has sent its bytes.
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

    /// - Returns: The link's number and the port of the server; nil if the connection must be
    ///   refused.
    func opened(_ link: Link) -> (number: Int, target: Int)? {
        state.withLock { state in
            state.accepted += 1
            guard !state.isRefusing else { return nil }
            state.links[state.accepted] = link
            return (state.accepted, state.target)
        }
    }

    /// - Parameter isIdle: Whether no reply is due to its connection.
    /// - Returns: Whether the request counts as a round trip.
    func noteRoundTrip(_ words: [String], isIdle: Bool) -> Bool {
        state.withLock { state in
            guard !state.isIgnored(words) else { return false }
            if isIdle { state.roundTrips.append(words) }
            return true
        }
    }

    var isSlow: Bool { state.withLock { $0.bytesPerSecond != nil } }

    /// Returns the time at which the link has sent so many more bytes.
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
