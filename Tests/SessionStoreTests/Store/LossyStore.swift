import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import RedisClient
@testable import SessionStore

/// A store that connects to Redis through a ``ReplyEater``, and a session that the test reads
/// directly.
struct LossyStore: Sendable {
    let it: ScriptSession
    let eater: ReplyEater
    let store: RedisSessionStore

    init(on redis: RedisServer? = nil, lease: Duration = .seconds(60), _ change: (inout StoreConfiguration) -> Void = { _ in }) async throws
    {
        if let redis { it = try await ScriptSession(on: redis) } else { it = try await ScriptSession() }
        // To lose a NOSCRIPT reply would test nothing.
        for script in StoreScripts.all {
            var load = RedisCommand("SCRIPT", "LOAD")
            load.append(script.source)
            _ = try await it.connection.send(load)
        }
        eater = try await ReplyEater(it.redis)
        var redis = RedisConfiguration(.tcp(host: "127.0.0.1", port: eater.port))
        redis.reconnectBase = .milliseconds(5)
        redis.reconnectLimit = .milliseconds(20)
        let client = RedisConnectionPool(configuration: redis, eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: .quiet)
        try #require(await client.waitUntilReady(timeout: .seconds(10)))
        var configuration = StoreConfiguration(replica: "lossy", lease: lease)
        change(&configuration)
        store = RedisSessionStore(client: client, configuration: configuration, logger: .quiet)
    }

    func close() async throws {
        store.client.shutDown()
        try await eater.close()
    }

    func lose<Input>(_ loss: ReplyEater.Loss, of script: StoreScript<Input>, goesAway: Bool = false) {
        eater.lose(loss, of: script.script.sha, goesAway: goesAway)
    }

    func user(_ text: String = "hello", token: LeaseToken = LeaseToken()) -> BeginStep { .user(text, in: it.session, token: token) }

    /// Begins a step, which must get the lease.
    func started(_ begin: BeginStep? = nil) async throws -> StepLease { try await store.started(begin ?? user()) }
}

extension BeginStep {
    static func user(_ text: String, in session: SessionID, token: LeaseToken = LeaseToken()) -> BeginStep {
        BeginStep(session: session, input: .user(ByteBuffer(string: #"{"role":"user","content":"\#(text)"}"#)), token: token)
    }

    static func result(_ content: String = "r", of id: String, in session: SessionID, token: LeaseToken = LeaseToken()) -> BeginStep {
        let json = ByteBuffer(string: #"{"role":"tool","tool_call_id":"\#(id)","content":"\#(content)"}"#)
        return BeginStep(session: session, input: .toolResult(json, callID: id, toolName: nil), token: token)
    }
}

extension StepCommit {
    init(_ lease: StepLease, text: String? = "hi", calls: [String] = [], events: LoggedEvents = LoggedEvents(firstSequence: 1)) {
        let arguments = calls.isEmpty ? text.map { CommitArguments.text($0) } : CommitArguments.calls(calls)
        self.init(
            lease: lease,
            messages: (arguments?.messages ?? []).map { ByteBuffer(string: $0) },
            calls: (arguments?.calls ?? []).map { PendingCall(id: $0.id, toolName: $0.name, json: ByteBuffer(string: $0.json)) },
            events: events, promptTokens: 3, completionTokens: 4, journalLine: ByteBuffer(string: #"{"status":"completed"}"#))
    }
}

extension RedisSessionStore {
    func started(_ begin: BeginStep) async throws -> StepLease {
        let outcome = try await self.begin(begin)
        guard case .started(let step) = outcome else { throw NotStarted(outcome: outcome) }
        return step.lease
    }

    struct NotStarted: Error {
        var outcome: BeginOutcome
    }

    /// Takes a released step over.
    func taken(_ lease: StepLease) async throws -> StepLease {
        let outcome = try await takeOver(TakeOver(session: lease.session, step: lease.step, reason: .lost))
        guard case .taken(let step) = outcome else { throw NotTaken(outcome: outcome) }
        return step.started.lease
    }

    struct NotTaken: Error {
        var outcome: TakeOverOutcome
    }

    /// Appends once, without the log writer's retries.
    func append(_ events: LoggedEvents, lease: StepLease, renews: Bool = true) async -> Result<LeaseAnswer, StoreError> {
        await withCheckedContinuation { continuation in
            append(events, lease: lease, renews: renews, on: route(for: lease.session)) { answer, _ in
                continuation.resume(returning: answer)
            }
        }
    }
}

extension LoggedEvents {
    static func tokens(_ texts: String..., from first: Int = 1) -> LoggedEvents {
        var events = LoggedEvents(firstSequence: first)
        for text in texts { events.append(token: text) }
        return events
    }
}

extension Result {
    var value: Success? { if case .success(let value) = self { value } else { nil } }
    var failure: Failure? { if case .failure(let error) = self { error } else { nil } }
}
