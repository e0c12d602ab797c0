import Foundation
import NIOCore
import RedisClient
import TestSupport

@testable import AgentService
@testable import SessionStore

/// A session as it stands in Redis, and what another replica would do to it.
struct SessionInRedis {
    let redis: RedisServer
    let store: RedisSessionStore
    let id: SessionID

    /// With a store of its own.
    ///
    /// - Parameter proxy: In front of `redis`; the store reaches it that way.
    init(
        _ redis: RedisServer, _ id: SessionID = .unique(), through proxy: FaultyProxy? = nil, lease: Duration = .seconds(3),
        _ change: (inout StoreConfiguration) -> Void = { _ in }
    ) async throws {
        self.redis = redis
        self.id = id
        let configuration = proxy?.configuration ?? redis.restrictedConfiguration
        store = try await configuration.store(replica: "owner", lease: lease, change)
    }

    /// Another session, with the store of this one's.
    init(beside other: SessionInRedis) {
        redis = other.redis
        store = other.store
        id = .unique()
    }

    var keys: RedisKeys { RedisKeys(id) }

    /// A step that runs on a new user message.
    func begin(_ text: String = "hello") async throws -> StepLease {
        let message = ChatMessage.user(content: ByteBuffer(string: JSON.string(text).text))
        guard case .started(let started) = try await store.begin(BeginStep(session: id, input: .user(message))) else {
            throw NotStarted()
        }
        return started.lease
    }

    struct NotStarted: Error {}

    func state(_ field: String) throws -> String { try redis.cli("HGET", keys.state, field) }

    /// Another replica takes the step: the next fence, and a lease of its own.
    @discardableResult
    func seize(_ step: Int, intent: String = "") async throws -> StepLease {
        let token = LeaseToken()
        let call = script(
            StoreScripts.takeOver, token.text, token.nonce, "thief", "60000", "0", String(step), "1", intent, "3", "PUBLISH", keys.wake,
            RedisKeys.replica(""), id.text, String(RedisLayout.known), "thief-process", "run", "0", "0")
        let reply = try await store.client.connection(for: keys.state).evaluate(call)
        guard reply[0]?.string == "taken", let next = reply[2]?.intValue else { throw NotStarted() }
        return StepLease(session: id, token: token, step: next)
    }

    /// The lease of the running step has run out, long ago.
    func expire() throws { try redis.cli("HSET", keys.state, "lease_until", "1") }

    /// Events of the running step, as its replica would log them.
    func log(_ lease: StepLease, tokens: String...) async throws {
        var events = LoggedEvents(firstSequence: 1)
        for token in tokens { events.append(token: token) }
        let written = await withCheckedContinuation { continuation in
            store.append(events, lease: lease, on: store.route(for: id)) { answer, _ in continuation.resume(returning: answer) }
        }
        guard try written.get() == .held else { throw NotStarted() }
    }

    /// The same session, as another replica sees it.
    func elsewhere(outagePause: Duration = .zero) async throws -> SessionInRedis {
        try await SessionInRedis(redis, id, lease: store.configuration.lease) { $0.outagePause = outagePause }
    }

    /// The value of a field `done` of the log.
    static let done = #"{"status":"completed","session_id":"s","step":1,"pending_calls":[],"finish_reason":"stop"}"#

    /// The other replica ends its step.
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

    /// Has Redis hold all writes until ``RedisServer/letWritesGo()``; reads go on.
    func holdWrites() async throws {
        // A note of activity that is due would be held first, and scripts wait behind it.
        await store.activity.flush()
        try redis.cli("CLIENT", "PAUSE", "600000", "WRITE")
    }

    private func script(_ script: RedisScript, _ arguments: String...) -> RedisScriptCall {
        var call = RedisScriptCall(script, keys: keys.all)
        for argument in arguments { call.append(argument) }
        return call
    }

    /// The entries of a step's log without the opening one.
    func entries(step: Int) async throws -> [LogEntry] {
        try await store.log(id, afterStep: step - 1, sequence: .max, limit: 100_000).entries.filter {
            $0.step == step && $0.lastSequence > 0
        }
    }

    /// The texts of a step's tokens; checks that each entry's place follows from the one before.
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

    /// Writes that were refused for want of replicas.
    func refusals() throws -> Int {
        let stats = try cli("INFO", "errorstats")
        return stats.firstMatch(of: /errorstat_NOREPLICAS:count=([0-9]+)/).flatMap { Int($0.output.1) } ?? 0
    }

    /// Connections whose script waits.
    func waiting() throws -> Int {
        try lines("CLIENT", "LIST").count { $0.contains(" flags=b") && $0.contains(" cmd=evalsha ") }
    }
}
