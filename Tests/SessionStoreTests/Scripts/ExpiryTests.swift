import NIOCore
import RedisClient
import TestSupport
import Testing

@testable import SessionStore

@Suite("Expiry of keys", .tags(.redis), .serialized)
struct ExpiryTests {
    static let ttl = 600_000

    private func expires(_ it: ScriptSession, _ answer: ScriptAnswer, keys: Int, _ line: Int = #line) async throws {
        let dump = try await it.dump()
        #expect(dump.expiryTimes == [answer.now + Int64(Self.ttl)], "line \(line)")
        #expect(dump.expiry.count == keys, "line \(line): \(dump.expiry.keys.sorted())")
    }

    @Test("Every write sets one expiry on all keys (I8)")
    func everyWriteSetsOneTimeOnAllKeys() async throws {
        let it = try await ScriptSession()
        let (first, second, third) = (LeaseToken().text, LeaseToken().text, LeaseToken().text)
        try await expires(it, it.begin { ($0.token, $0.ttl) = (first, Self.ttl) }, keys: 4)
        try await expires(it, it.append(first, 1, lastSequence: 1, ["token", "a"], ttl: Self.ttl), keys: 4)
        try await expires(it, it.append(first, 1, lastSequence: 1, [], ttl: Self.ttl), keys: 4)
        var commit = CommitArguments.calls("a", "b")
        commit.ttl = Self.ttl
        try await expires(it, it.commit(first, 1, commit), keys: 6)
        try await expires(it, it.result(of: "a") { $0.ttl = Self.ttl }, keys: 6)
        try await expires(it, it.result(of: "b") { ($0.token, $0.ttl) = (second, Self.ttl) }, keys: 5)
        try await expires(it, it.takeOver { ($0.token, $0.ttl, $0.step, $0.force) = (third, Self.ttl, 2, true) }, keys: 5)
        let before = try await it.dump().expiry
        _ = try await it.release(third)
        #expect(try await it.dump().expiry == before)
    }

    @Test("Without a time-to-live nothing expires")
    func withoutATimeNothingExpires() async throws {
        let it = try await ScriptSession.waiting(for: "a")
        _ = try await it.result(of: "a")
        _ = try await it.takeOver { ($0.step, $0.force) = (2, true) }
        #expect(try await it.dump().expiryTimes == [-1])
    }

    /// The setting has changed since the step began. Keys that the commit creates must not outlive
    /// the others.
    @Test("A commit under another setting leaves no key behind")
    func aCommitUnderAnotherSettingLeavesNothingBehind() async throws {
        let (it, token) = try await ScriptSession.running { $0.ttl = Self.ttl }
        _ = try await it.commit(token, 1, .calls("a"))
        #expect(try await it.dump().expiryTimes == [-1])
    }

    @Test("An expired session is new")
    func aSessionThatHasExpiredIsNew() async throws {
        let (it, token) = try await ScriptSession.running { $0.ttl = 1 }
        try await eventually("the session expires") { try await it.dump().isEmpty }
        try await it.refused("lost 0 ") { try await it.append(token, 1, lastSequence: 1, ["token", "a"]) }
        try await it.refused("lost 0 ") { try await it.commit(token, 1) }
        try await it.refused("unknown_call") { try await it.result(of: "a") }
        #expect(try await it.begin().step == 1)
    }

    /// Redis may stall between the script's read of the clock and its write of the expiry. Then the
    /// keys expire before the script ends.
    @Test("An expiry that passes inside the script does not hang Redis")
    func aTimeThatRunsOutWithinTheScriptDoesNotHoldUpRedis() async throws {
        let server = try await RedisServer.start()
        let it = try await ScriptSession(on: server)
        let answer = try await it.begin { $0.ttl = -1 }
        #expect(answer.name == "started")
        #expect(try await it.dump().isEmpty)
        try await server.stop()
    }

    @Test("The store passes its own time-to-live")
    func theStoreGivesItsOwnTime() async throws {
        let it = try await ScriptSession()
        let store = try await it.redis.store { $0.sessionTTL = .milliseconds(700_000) }
        let begin = BeginStep(session: it.session, input: .user(.init(string: BeginStepTests.hello)))
        _ = try await store.begin(begin)
        let dump = try await it.dump()
        let updated = try #require(dump.state["updated_at"].flatMap { Int64($0) })
        #expect(dump.expiryTimes == [updated + 700_000])
    }
}
