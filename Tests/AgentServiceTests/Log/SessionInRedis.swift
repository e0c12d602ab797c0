import Foundation
import NIOCore
import RedisClient
import TestSupport

@testable import AgentService
@testable import LanguageModels
@testable import SessionStore

/// A session in Redis, which the test also writes to as another replica.
struct SessionInRedis {
    let redis: RedisServer
    let store: RedisSessionStore
    let id: SessionID

    /// Creates a session with a store of its own.
    ///
    /// - Parameter proxy: A proxy before `redis` for the store; nil for a direct connection.
    init(
        _ redis: RedisServer, _ id: SessionID = .unique(), through proxy: FaultyProxy? = nil, lease: Duration = .seconds(3),
        _ change: (inout StoreConfiguration) -> Void = { _ in }
    ) async throws {
        self.redis = redis
        self.id = id
        let configuration = proxy?.configuration ?? redis.restrictedConfiguration
        store = try await configuration.store(replica: "owner", lease: lease, change)
    }

    /// Creates another session with the same store.
    init(beside other: SessionInRedis) {
        redis = other.redis
        store = other.store
        id = .unique()
    }

    var keys: RedisKeys { RedisKeys(id) }

    /// Begins a step on a new user message.
    func begin(_ text: String = "hello") async throws -> StepLease {
        let message = ChatMessage.user(content: ByteBuffer(string: JSON.string(text).text))
        guard case .started(let started) = try await store.begin(BeginStep(session: id, input: .user(message))) else {
            throw NotStarted()
        }
        return started.lease
    }

    struct NotStarted: Error {}

    func state(_ field: String) throws -> String { try redis.cli("HGET", keys.state, field) }

    /// Takes the step over as another replica: with the next fence and a new lease.
    @discardableResult
    func seize(_ step: Int, intent: String = "") async throws -> StepLease {
        var configuration = StoreConfiguration(replica: "thief", lease: .seconds(60))
        (configuration.historyAheadBytes, configuration.historyAheadMessages) = (0, 0)
        let thief = RedisSessionStore(client: store.client, configuration: configuration, logger: .quiet)
        let token = LeaseToken()
        let takeOver = TakeOver(session: id, step: step, reason: intent.isEmpty ? .stale : .cancel, token: token)
        let call = StoreScripts.takeOver.call(
            TakeOverCall(store: thief, keys: keys, requester: .tenant, takeOver: takeOver, verdict: .run), on: keys)
        let reply = try await store.client.connection(for: keys.state).evaluate(call)
        guard reply[0]?.string == "taken", let next = reply[2]?.intValue else { throw NotStarted() }
        return StepLease(session: id, token: token, step: next)
    }

    /// Sets the running step's lease to a time long ago.
    func expire() throws { try redis.cli("HSET", keys.state, "lease_until", "1") }

    /// Logs events of the running step, as its owner would.
    func log(_ lease: StepLease, tokens: String...) async throws {
        var events = LoggedEvents(firstSequence: 1)
        for token in tokens { events.append(token: token) }
        let written = await withCheckedContinuation { continuation in
            store.append(events, lease: lease, on: store.route(for: id)) { answer, _ in continuation.resume(returning: answer) }
        }
        guard try written.get() == .held else { throw NotStarted() }
    }

    /// The same session, in the store of another replica.
    func elsewhere(outagePause: Duration = .zero) async throws -> SessionInRedis {
        try await SessionInRedis(redis, id, lease: store.configuration.lease) { $0.outagePause = outagePause }
    }

    /// The value of the log's field `done`, for a test.
    static let done = #"{"status":"completed","session_id":"s","step":1,"pending_calls":[],"finish_reason":"stop"}"#

    /// Commits the other replica's step.
    func commit(_ lease: StepLease, saying text: String) async throws {
        var events = LoggedEvents(firstSequence: 1)
        LogCodec.append(.text(text, isFinal: true), to: &events)
        let summary = StepSummary(status: .completed, session: id, step: lease.step, historyLength: 2)
        LogCodec.append(.finished(summary), to: &events)
        let answer = try await store.commit(
            StepCommit(
                lease: lease, messages: [ChatMessage.assistant(text: ByteBuffer(string: text), calls: [])], calls: [], events: events,
                promptTokens: 0, completionTokens: 0, journalLine: ByteBuffer(string: "{}")))
        guard answer == .held else { throw NotStarted() }
    }

    /// Lets Redis hold all writes until ``RedisServer/letWritesGo()``. Redis still serves reads.
    func holdWrites() async throws {
        // A record of activity that is due would block first, and scripts would wait for it.
        await store.activity.flush()
        try redis.cli("CLIENT", "PAUSE", "600000", "WRITE")
    }

    /// Returns the entries of a step's log without the opening entry.
    func entries(step: Int) async throws -> [LogEntry] {
        try await store.log(id, afterStep: step - 1, sequence: .max, limit: 100_000).entries.filter {
            $0.step == step && $0.lastSequence > 0
        }
    }

    /// Returns the texts of a step's tokens. Checks that each entry's position follows that of the
    /// previous entry.
    func tokens(step: Int) async throws -> [String] {
        var texts: [Int: String] = [:]
        for entry in try await entries(step: step) {
            for (offset, field) in entry.fields.enumerated() where field.name == "token" {
                texts[entry.lastSequence - entry.fields.count + 1 + offset] = String(buffer: field.value)
            }
        }
        return texts.sorted { $0.key < $1.key }.map(\.value)
    }
}

extension RedisServer {
    func letWritesGo() throws { try cli("CLIENT", "UNPAUSE") }

    /// Returns the number of writes that Redis refused because it has too few replicas.
    func refusals() throws -> Int {
        let stats = try cli("INFO", "errorstats")
        return stats.firstMatch(of: /errorstat_NOREPLICAS:count=([0-9]+)/).flatMap { Int($0.output.1) } ?? 0
    }

    /// Returns the number of connections whose script is blocked.
    func waiting() throws -> Int {
        try lines("CLIENT", "LIST").count { $0.contains(" flags=b") && $0.contains(" cmd=evalsha ") }
    }
}
