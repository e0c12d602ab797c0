import NIOCore
import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// What a script answered.
struct ScriptAnswer: CustomStringConvertible {
    let reply: RedisReply

    var name: String { reply[0]?.string ?? "" }
    var now: Int64 { reply[1]?.integer ?? 0 }
    /// Everything after Redis's time, integers as digits.
    var rest: [String] { (2..<max(2, reply.count)).compactMap { reply[$0]?.plain } }
    /// Some of these; those that are missing are left out.
    func fields(_ range: ClosedRange<Int>) -> [String] { Array(rest.prefix(range.upperBound + 1).dropFirst(range.lowerBound)) }
    var line: String { ([name] + rest).joined(separator: " ") }
    var step: Int { reply[2]?.intValue ?? 0 }
    /// Of a `started`: the messages in the history.
    var length: Int { reply[3]?.intValue ?? 0 }
    var description: String { line }
}

extension RedisReply {
    var plain: String? { kind == .array ? "[\(plainList.joined(separator: ","))]" : integer.map(String.init) ?? string }

    var plainList: [String] {
        var list: [String] = []
        forEachElement { list.append($0.plain ?? "") }
        return list
    }

    var plainDictionary: [String: String] {
        let list = plainList
        return Dictionary(stride(from: 0, to: list.count - 1, by: 2).map { (list[$0], list[$0 + 1]) }) { $1 }
    }
}

/// A new session on a real Redis, and the protocol's scripts called on it as a replica calls them.
struct ScriptSession: Sendable {
    /// Where the session's keys are.
    let redis: RedisServer
    /// How stores reach it.
    let configuration: RedisConfiguration
    let connection: RedisConnection
    let session: SessionID
    var keys: RedisKeys { RedisKeys(session) }

    private static let shared = Task { try await RedisServer.shared().client() }

    /// A session on the shared server.
    init(_ session: SessionID = .unique()) async throws {
        redis = try await .shared()
        configuration = redis.restrictedConfiguration
        connection = try await Self.shared.value.connection(for: "")
        self.session = session
    }

    /// A session on the shared Redis of a topology.
    init(in topology: SharedRedis) async throws {
        session = .unique()
        redis = try await topology.server(of: session)
        configuration = try await topology.configuration()
        connection = try await redis.client().connection(for: "")
    }

    /// A session on a server of the test's own.
    init(on redis: RedisServer) async throws {
        self.redis = redis
        configuration = redis.restrictedConfiguration
        connection = try await redis.client().connection(for: "")
        session = .unique()
    }

    /// A session on a Cluster of the test's own.
    init(on cluster: RedisCluster) async throws {
        session = .unique()
        redis = try cluster.master(of: RedisKeys(session).state)
        configuration = try cluster.configuration()
        connection = try await redis.client().connection(for: "")
    }

    /// The same session, over another connection.
    init(_ it: ScriptSession, connection: RedisConnection) {
        (redis, configuration, session) = (it.redis, it.configuration, it.session)
        self.connection = connection
    }

    /// A session with the lease of step 1 taken, and its token.
    static func running(_ change: (inout BeginArguments) -> Void = { _ in }) async throws -> (ScriptSession, token: String) {
        let it = try await ScriptSession()
        var token = ""
        let answer = try await it.begin {
            change(&$0)
            token = $0.token
        }
        try #require(answer.name == "started" && answer.step == 1)
        return (it, token)
    }

    /// A session whose first step called these tools.
    static func waiting(for ids: String...) async throws -> ScriptSession {
        let (it, token) = try await running()
        let answer = try await it.commit(token, 1, .calls(ids))
        try #require(answer.line == "committed 2")
        return it
    }

    /// A store, as a replica named `replica` has it.
    func store(
        replica: String = "replica-1", lease: Duration = .seconds(3), _ change: (inout StoreConfiguration) -> Void = { _ in }
    ) async throws -> RedisSessionStore {
        try await configuration.store(replica: replica, lease: lease, change)
    }

    // MARK: Scripts

    func begin(_ change: (inout BeginArguments) -> Void = { _ in }) async throws -> ScriptAnswer {
        var arguments = BeginArguments()
        change(&arguments)
        return try await call(StoreScripts.beginStep, arguments.list(wake: keys.wake))
    }

    /// Brings the result `content` of a call.
    func result(
        _ content: String = "r", of id: String, _ change: (inout BeginArguments) -> Void = { _ in }
    ) async throws -> ScriptAnswer {
        try await begin {
            $0.kind = "tool_result"
            $0.callID = id
            $0.message = #"{"role":"tool","tool_call_id":"\#(id)","content":"\#(content)"}"#
            $0.resultDigest = Digest.short(ByteBuffer(string: content))
            change(&$0)
        }
    }

    func retry(_ change: (inout BeginArguments) -> Void = { _ in }) async throws -> ScriptAnswer {
        try await begin {
            $0.kind = "retry"
            change(&$0)
        }
    }

    /// - Parameter events: Name, value, name, value …
    func append(
        _ token: String, _ step: Int, lastSequence: Int, _ events: [String], lease: Int = 60_000, ttl: Int = 0
    ) async throws -> ScriptAnswer {
        try await call(
            StoreScripts.appendEvents,
            [token, "\(step)", "\(lastSequence)", "\(lease)", "\(ttl)", "PUBLISH", keys.wake, ""] + events)
    }

    /// - Parameter events: Name, value, name, value …
    func log(_ token: String, _ step: Int, lastSequence: Int, _ events: [String]) async throws -> Int64? {
        var call = RedisScriptCall(StoreScripts.logEvents, keys: keys, ["state", "events"])
        for argument in [token, "\(step)-\(lastSequence)", "PUBLISH", keys.wake, "\(step)"] + events { call.append(argument) }
        return try await connection.evaluate(call).integer
    }

    func commit(_ token: String, _ step: Int, _ arguments: CommitArguments = .text()) async throws -> ScriptAnswer {
        try await call(StoreScripts.commitStep, arguments.list(token: token, step: step, wake: keys.wake))
    }

    func release(_ token: String) async throws -> ScriptAnswer {
        try await call(StoreScripts.releaseStep, [token, "PUBLISH", keys.wake])
    }

    func takeOver(_ change: (inout TakeOverArguments) -> Void = { _ in }) async throws -> ScriptAnswer {
        var arguments = TakeOverArguments()
        change(&arguments)
        return try await call(StoreScripts.takeOver, arguments.list(keys))
    }

    /// - Returns: Whether there was something to delete.
    func delete() async throws -> Bool {
        let epoch = try await command("HGET", keys.state, "epoch").string ?? ""
        return try await delete(epoch: epoch).reply[0]?.integer == 1
    }

    func delete(epoch: String) async throws -> ScriptAnswer {
        try await call(
            StoreScripts.deleteSession, ["PUBLISH", keys.wake, RedisKeys.replica(""), session.text, epoch, "\(RedisLayout.known)"])
    }

    private func call(_ script: RedisScript, _ arguments: [String]) async throws -> ScriptAnswer {
        var call = RedisScriptCall(script, keys: keys.all)
        for argument in arguments { call.append(argument) }
        return ScriptAnswer(reply: try await connection.evaluate(call))
    }

    /// Runs a command on the session's server, as a person does who edits a session by hand.
    @discardableResult
    func command(_ arguments: String...) async throws -> RedisReply {
        var command = RedisCommand(arguments[0])
        command.append(contentsOf: arguments.dropFirst())
        return try await connection.send(command)
    }

    // MARK: Expectations

    /// Makes a call that must not write: neither a key nor its expiry may differ afterwards.
    /// A call that was made before, by the holder of the lease: it has its answer again and its lease anew, and nothing else is written.
    func repeated(
        _ expected: String, lease: Int64 = 60_000, sourceLocation: SourceLocation = #_sourceLocation,
        _ call: () async throws -> ScriptAnswer
    ) async throws {
        var before = try await dump()
        let answer = try await call()
        #expect(answer.line == expected, sourceLocation: sourceLocation)
        before.state["lease_until"] = "\(answer.now + lease)"
        #expect(try await dump() == before, sourceLocation: sourceLocation)
    }

    func refused(
        _ expected: String, sourceLocation: SourceLocation = #_sourceLocation, _ call: () async throws -> ScriptAnswer
    ) async throws {
        let before = try await dump()
        let answer = try await call()
        #expect(answer.line == expected, sourceLocation: sourceLocation)
        #expect(answer.now > 1_600_000_000_000, sourceLocation: sourceLocation)
        #expect(try await dump() == before, sourceLocation: sourceLocation)
    }
}
