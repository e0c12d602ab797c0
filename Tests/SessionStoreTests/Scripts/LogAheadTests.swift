import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// A person has edited the session. The script raises the fence above the log's last step.
@Suite("A log ahead of the fence", .tags(.redis), .serialized)
struct LogAheadTests {
    @Test("A begin moves the fence behind the log", arguments: ["9-0", "9-77"])
    func aBeginMovesTheFenceBehindTheLog(id: String) async throws {
        let (it, token) = try await ScriptSession.running()
        _ = try await it.commit(token, 1)
        try await it.command("XADD", it.keys.events, id, "token", "x")
        let next = LeaseToken().text
        let answer = try await it.begin { ($0.token, $0.key) = (next, "k") }
        #expect(answer.name == "started" && answer.step == 10)
        let dump = try await it.dump()
        #expect(dump.state["fence"] == "10")
        #expect(dump.ledger["t:\(next)"] == "10 begun" && dump.ledger["k:k"] == "10 ")
        #expect(dump.events.map(\.id) == [id, "10-0"])
        #expect(dump.history.count == 3)
        #expect(try await it.append(next, 10, lastSequence: 1, ["token", "y"]).line == "written")
        #expect(try await it.dump().events.last?.id == "10-1")
    }

    @Test("A deleted state does not block the session")
    func aDeletedStateDoesNotBlockTheSession() async throws {
        let (it, token) = try await ScriptSession.running()
        _ = try await it.commit(token, 1)
        try await it.command("DEL", it.keys.state)
        #expect(try await it.begin().step == 2)
    }

    /// Otherwise no replica could ever take a running step over.
    @Test("A takeover moves the fence behind the log (I6)")
    func aTakeOverMovesTheFenceBehindTheLog() async throws {
        let (it, _) = try await ScriptSession.running()
        try await it.command("XADD", it.keys.events, "9-5", "token", "x")
        let token = LeaseToken().text
        let answer = try await it.takeOver { ($0.token, $0.force) = (token, true) }
        #expect(answer.fields(0...3) == ["10", "1", "replica-1", "run"])
        let dump = try await it.dump()
        #expect(dump.state["fence"] == "10" && dump.ledger["t:\(token)"] == "10 begun")
        #expect(dump.events.last?.id == "10-0")
        #expect(dump.events.last?.fields.last == #"{"type":"restart","step":10,"replaces":1,"reason":"replica_lost"}"#)
    }

    /// The script cannot open the log, and writes nothing.
    @Test("A log that is not a stream stops the step before it begins")
    func aLogThatIsNoStreamStopsTheStepBeforeItBegins() async throws {
        let it = try await ScriptSession.waiting(for: "a")
        try await it.command("DEL", it.keys.events)
        try await it.command("SET", it.keys.events, "no stream")
        await #expect(throws: RedisError.self) { _ = try await it.begin() }
        await #expect(throws: RedisError.self) { _ = try await it.result(of: "a") }
        try await it.command("DEL", it.keys.events)
        let dump = try await it.dump()
        #expect(dump.history.count == 2 && dump.pending.count == 1 && dump.state["status"] == "waiting" && dump.state["fence"] == "1")
    }
}
