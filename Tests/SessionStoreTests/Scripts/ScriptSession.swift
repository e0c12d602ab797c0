import NIOCore
import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// A script's reply.
struct ScriptAnswer: CustomStringConvertible {
    let reply: RedisReply

    var name: String { reply[0]?.string ?? "" }
    var now: Int64 { reply[1]?.integer ?? 0 }
    /// The values after Redis's time, with integers as digits.
    var rest: [String] { (2..<max(2, reply.count)).compactMap { reply[$0]?.plain } }
    /// Returns the fields of this range, without missing ones.
    func fields(_ range: ClosedRange<Int>) -> [String] { Array(rest.prefix(range.upperBound + 1).dropFirst(range.lowerBound)) }
    var line: String { ([name] + rest).joined(separator: " ") }
    var step: Int { reply[2]?.intValue ?? 0 }
    /// The number of messages in the history, in a `started` reply.
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

/// A new session on a real Redis. Its methods call the protocol's scripts as a replica does.
struct ScriptSession: Sendable {
    /// The server with the session's keys.
    let redis: RedisServer
    /// The configuration for stores.
    let configuration: RedisConfiguration
    let connection: RedisConnection
    let session: SessionID
    var keys: RedisKeys { RedisKeys(session) }

    private static let shared = Task { try await RedisServer.shared().client() }

    /// Creates a session on the shared server.
    init(_ session: SessionID = .unique()) async throws {
        redis = try await .shared()
        configuration = redis.restrictedConfiguration
        connection = try await Self.shared.value.connection(for: "")
        self.session = session
    }

    /// Creates a session on the shared Redis of a topology.
    init(in topology: SharedRedis) async throws {
        session = .unique()
        redis = try await topology.server(of: session)
        configuration = try await topology.configuration()
        connection = try await redis.client().connection(for: "")
    }

    /// Creates a session on a server of the test's own.
    init(on redis: RedisServer) async throws {
        self.redis = redis
        configuration = redis.restrictedConfiguration
        connection = try await redis.client().connection(for: "")
        session = .unique()
    }

    /// Creates a session on a Cluster of the test's own.
    init(on cluster: RedisCluster) async throws {
        session = .unique()
        redis = try cluster.master(of: RedisKeys(session).state)
        configuration = try cluster.configuration()
        connection = try await redis.client().connection(for: "")
    }

    /// Creates the same session over another connection.
    init(_ it: ScriptSession, connection: RedisConnection) {
        (redis, configuration, session) = (it.redis, it.configuration, it.session)
        self.connection = connection
    }

    /// Creates a session with a lease of step 1, and returns its token.
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

    /// Creates a session whose first step called these tools.
    static func waiting(for ids: String...) async throws -> ScriptSession {
        let (it, token) = try await running()
        let answer = try await it.commit(token, 1, .calls(ids))
        try #require(answer.line == "committed 2")
        return it
    }

    /// Creates a store of a replica named `replica`.
    func store(
        replica: String = "replica-1", lease: Duration = .seconds(3), _ change: (inout StoreConfiguration) -> Void = { _ in }
    ) async throws -> RedisSessionStore {
        try await configuration.store(replica: replica, lease: lease, change)
    }

    // MARK: Scripts

    func begin(_ change: (inout BeginArguments) -> Void = { _ in }) async throws -> ScriptAnswer {
        var arguments = BeginArguments()
        change(&arguments)
        return try await call(StoreScripts.beginStep, arguments.values(wake: keys.wake))
    }

    /// Sends the result `content` of a call.
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
        _ token: String, _ step: Int, lastSequence: Int, _ events: [String], lease: Int = 60_000, ttl: Int = 0, maximumAge: Int = 0
    ) async throws -> ScriptAnswer {
        try await call(
            StoreScripts.appendEvents,
            [
                "token": token, "step": "\(step)", "last_sequence": "\(lastSequence)", "lease": "\(lease)", "ttl": "\(ttl)",
                "publish": "PUBLISH", "wake": keys.wake, "asking": "", "max_age": "\(maximumAge)", "grace": "60000",
            ], rest: events)
    }

    /// - Parameter events: Name, value, name, value …
    func log(_ token: String, _ step: Int, lastSequence: Int, _ events: [String]) async throws -> Int64? {
        try await call(
            StoreScripts.logEvents,
            ["token": token, "entry": "\(step)-\(lastSequence)", "publish": "PUBLISH", "wake": keys.wake, "step": "\(step)"], rest: events
        ).reply.integer
    }

    func commit(_ token: String, _ step: Int, _ arguments: CommitArguments = .text()) async throws -> ScriptAnswer {
        try await call(
            StoreScripts.commitStep, arguments.values(token: token, step: step, wake: keys.wake), rest: arguments.rest)
    }

    func release(_ token: String) async throws -> ScriptAnswer {
        try await call(StoreScripts.releaseStep, ["token": token, "publish": "PUBLISH", "wake": keys.wake])
    }

    func takeOver(_ change: (inout TakeOverArguments) -> Void = { _ in }) async throws -> ScriptAnswer {
        var arguments = TakeOverArguments()
        change(&arguments)
        return try await call(StoreScripts.takeOver, arguments.values(keys))
    }

    /// - Returns: Whether the session existed.
    func delete() async throws -> Bool {
        let epoch = try await command("HGET", keys.state, "epoch").string ?? ""
        return try await delete(epoch: epoch).reply[0]?.integer == 1
    }

    func delete(epoch: String, as subject: String = "") async throws -> ScriptAnswer {
        try await call(
            StoreScripts.deleteSession,
            [
                "publish": "PUBLISH", "wake": keys.wake, "replica_channels": RedisKeyspace.standard.replica(""), "session": session.text,
                "seen_epoch": epoch, "known_layout": "\(RedisLayout.known)", "subject": subject, "opens_unowned": "1",
            ])
    }

    /// Calls a script with values by the names of its arguments. The names must be exactly the
    /// script's.
    private func call<Input>(
        _ script: StoreScript<Input>, _ values: [String: String], rest: [String] = []
    ) async throws -> ScriptAnswer {
        let names = script.parameters.map { "\($0.name)" }
        try #require(Set(values.keys) == Set(names))
        var call = RedisScriptCall(script.script, keys: script.keys.map { keys.prefix + "\($0)" })
        for argument in names.compactMap({ values[$0] }) + rest { call.append(argument) }
        return ScriptAnswer(reply: try await connection.evaluate(call))
    }

    /// Runs a command on the session's server, like a person who edits the session.
    @discardableResult
    func command(_ arguments: String...) async throws -> RedisReply {
        var command = RedisCommand(arguments[0])
        command.append(contentsOf: arguments.dropFirst())
        return try await connection.send(command)
    }

    // MARK: Expectations

    /// Repeats a call of the lease's holder. Checks that the call gets the same reply, renews the
    /// lease, and writes nothing else.
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
