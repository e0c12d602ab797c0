import TestSupport
import Testing

@testable import SessionStore

@Suite struct DeleteSessionTests {
    @Test func allKeysGoAtOnce() async throws {
        let it = try await ScriptSession.waiting(for: "a")
        #expect(try await it.dump().expiry.count == 6)
        #expect(try await it.delete())
        #expect(try await it.dump().isEmpty)
        #expect(try it.redis.cli("--scan", "--pattern", "agent:{\(it.session)}:*") == "")
        #expect(try await !it.delete())
    }

    /// Its replica hears of it, and asks whether it still has the lease.
    @Test func theOwnerOfARunningStepIsTold() async throws {
        let owner = "replica-\(SessionID.unique())"
        let (it, _) = try await ScriptSession.running { $0.owner = owner }
        let listener = try await ChannelListener(RedisKeys.replica(owner), on: it.redis)
        _ = try await it.delete()
        #expect(try await listener.heard(until: "\(it.session) 1") == ["\(it.session) 1"])
        // Nothing runs any more.
        let (idle, token) = try await ScriptSession.running { $0.owner = owner }
        _ = try await idle.commit(token, 1)
        _ = try await idle.delete()
        let (last, _) = try await ScriptSession.running { $0.owner = owner }
        _ = try await last.delete()
        #expect(try await listener.heard(until: "\(last.session) 1") == ["\(it.session) 1", "\(last.session) 1"])
    }

    /// I3: a step that ran when its session was deleted writes nothing into the session that is begun anew, though that one
    /// has the same fence.
    @Test func aDeletedSessionsStepIsLost() async throws {
        let (it, token) = try await ScriptSession.running()
        _ = try await it.delete()
        try await it.refused("lost 0 ") { try await it.append(token, 1, lastSequence: 1, ["token", "a"]) }
        try await it.refused("lost 0 ") { try await it.commit(token, 1) }
        #expect(try await it.dump().isEmpty)
        #expect(try await it.begin().step == 1)
        try await it.refused("lost 1 ") { try await it.append(token, 1, lastSequence: 1, ["token", "a"]) }
        try await it.refused("lost 1 ") { try await it.commit(token, 1) }
    }
}
