import RedisClient
import TestSupport
import Testing

@testable import SessionStore

@Suite("delete_session", .tags(.redis), .serialized)
struct DeleteSessionTests {
    @Test("All keys are deleted at once")
    func allKeysGoAtOnce() async throws {
        let it = try await ScriptSession.waiting(for: "a")
        #expect(try await it.dump().expiry.count == 6)
        #expect(try await it.delete())
        #expect(try await it.dump().isEmpty)
        #expect(try it.redis.cli("--scan", "--pattern", "agent:{\(it.session)}:*") == "")
        #expect(try await !it.delete())
    }

    /// The owner then checks whether it still holds the lease.
    @Test("The owner of a running step is notified")
    func theOwnerOfARunningStepIsTold() async throws {
        let owner = "replica-\(SessionID.unique())"
        let (it, _) = try await ScriptSession.running { $0.owner = owner }
        let listener = try await ChannelListener(RedisKeyspace.standard.replica(owner), on: it.redis)
        _ = try await it.delete()
        #expect(try await listener.heard(until: "\(it.session) 1") == ["\(it.session) 1"])
        // No step runs any more.
        let (idle, token) = try await ScriptSession.running { $0.owner = owner }
        _ = try await idle.commit(token, 1)
        _ = try await idle.delete()
        let (last, _) = try await ScriptSession.running { $0.owner = owner }
        _ = try await last.delete()
        #expect(try await listener.heard(until: "\(last.session) 1") == ["\(it.session) 1", "\(last.session) 1"])
    }

    /// The reply was lost, and a client used the session id again before the repetition.
    @Test("A repeated deletion spares a session that began since")
    func whatWasBegunSinceStays() async throws {
        let (it, _) = try await ScriptSession.running()
        let epoch = try #require(try await it.dump().state["epoch"])
        #expect(try await it.delete(epoch: epoch).reply[0]?.integer == 1)
        #expect(try await it.begin().step == 1)
        let begun = try await it.dump()
        #expect(try await it.delete(epoch: epoch).reply[0]?.integer == 0)
        #expect(try await it.dump() == begun)
    }

    /// The state is missing or of another type.
    @Test("A session without a valid state can be deleted", arguments: ["DEL", "SET"])
    func aSessionWithoutAStateCanBeDeleted(edit: String) async throws {
        let (it, _) = try await ScriptSession.running()
        try await it.command("DEL", it.keys.state)
        if edit == "SET" { try await it.command("SET", it.keys.state, "x") }
        #expect(try await it.store().delete(it.session))
        #expect(try it.redis.cli("--scan", "--pattern", "agent:{\(it.session)}:*") == "")
    }

    /// The new session has the same fence as the deleted one.
    @Test("A deleted session's step writes nothing into its successor (I3)")
    func aDeletedSessionsStepIsLost() async throws {
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
