import JSONText
import NIOCore
import TestSupport
import Testing

@testable import SessionStore

/// Tests tool results, and user messages that arrive while calls are open.
@Suite("begin_step with tool results", .tags(.redis), .serialized)
struct BeginStepToolResultTests {
    @Test("The last result starts the next step")
    func theLastResultStartsTheNextStep() async throws {
        let it = try await ScriptSession.waiting(for: "a")
        let token = LeaseToken().text
        let answer = try await it.result("42", of: "a") { $0.token = token }
        #expect(answer.name == "started" && answer.step == 2)
        #expect(answer.length == 3)
        let dump = try await it.dump()
        #expect(dump.history.last == #"{"role":"tool","tool_call_id":"a","content":"42"}"#)
        #expect(dump.pending.isEmpty && dump.expiry["pending"] == nil)
        #expect(dump.ledger["c:a"] == "1 0 answered \(Digest.short(ByteBuffer(string: "42")))")
        #expect(dump.ledger["t:\(token)"] == "2 begun")
        #expect(dump.state["status"] == "running" && dump.state["token"] == token)
        #expect(dump.events.map(\.id) == ["1-0", "2-0"])
    }

    @Test(
        "Results may come in any order, and open calls are named in the model's order (I1)",
        arguments: [["c", "b", "a", "d"], ["a", "b", "c", "d"], ["d", "b", "a", "c"]]
    )
    func resultsComeInAnyOrder(order: [String]) async throws {
        let it = try await ScriptSession.waiting(for: "c", "a", "d", "b")
        var open = ["c", "a", "d", "b"]
        for (index, id) in order.dropLast().enumerated() {
            open.removeAll { $0 == id }
            let answer = try await it.result("r-\(id)", of: id)
            #expect(answer.rest == ["1", "\(3 + index)"] + open)
            let dump = try await it.dump()
            #expect(dump.state["status"] == "waiting" && dump.state["fence"] == "1")
            #expect(dump.state["updated_at"] == "\(answer.now)")
            #expect(Set(dump.pending.keys) == Set(open))
            #expect(dump.ledger["c:\(id)"]?.contains(" answered ") == true)
            #expect(dump.events.map(\.id) == ["1-0"])
        }
        #expect(try await it.result("last", of: open[0]).line.hasPrefix("started 2 "))
        let history = try await it.dump().history.map { try JSON($0) }
        #expect(Conversation.violation(history) == nil)
        #expect(history.suffix(4).map { $0["tool_call_id"].string } == order)
    }

    /// The step after the result belongs to the user's message, which arrived in place of the other
    /// result.
    @Test("A repeated result does not get another message's completion")
    func theSameResultAgainIsNotToldAnotherMessagesAnswer() async throws {
        let it = try await ScriptSession.waiting(for: "a", "b")
        #expect(try await it.result(of: "a").line == "waiting 1 3 b")
        let token = LeaseToken().text
        #expect(try await it.begin { $0.token = token }.step == 2)
        try await it.refused("waiting 1 5") { try await it.result(of: "a") }
        _ = try await it.commit(token, 2)
        try await it.refused("waiting 1 6") { try await it.result(of: "a") }
        try await it.refused("call_closed") { try await it.result(of: "b") }
    }

    @Test("A repeated result writes nothing (I2)")
    func theSameResultAgainWritesNothing() async throws {
        let it = try await ScriptSession.waiting(for: "a", "b")
        #expect(try await it.result(of: "a").line == "waiting 1 3 b")
        try await it.refused("waiting 1 3 b") { try await it.result(of: "a") }
        let token = LeaseToken().text
        let started = try await it.result(of: "b") { $0.token = token }
        #expect(started.step == 2)
        try await it.repeated(started.line) { try await it.result(of: "b") { $0.token = token } }
        try await it.refused("replay 2 4") { try await it.result(of: "a") }
        try await it.refused("replay 2 4") { try await it.result(of: "b") }
        _ = try await it.commit(token, 2)
        try await it.refused("replay 2 5") { try await it.result(of: "b") }
        _ = try await it.begin()
        try await it.refused("replay 2 6") { try await it.result(of: "b") }
    }

    @Test("A result that contradicts the calls is refused")
    func whatContradictsTheCallsIsRefused() async throws {
        let it = try await ScriptSession.waiting(for: "a", "b")
        try await it.refused("unknown_call") { try await it.result(of: "x") }
        try await it.refused("unknown_call") { try await it.result(of: "") }
        try await it.refused("tool_name_mismatch read_file") { try await it.result(of: "a") { $0.toolName = "write_file" } }
        try await it.refused("history_mismatch 2") { try await it.result(of: "a") { $0.expectedLength = "1" } }
        try await it.refused("late") { try await it.result(of: "a") { $0.hint = 1 } }
        #expect(try await it.result("one", of: "a") { $0.toolName = "read_file" }.name == "waiting")
        try await it.refused("result_conflict") { try await it.result("two", of: "a") }
        let empty = try await ScriptSession()
        try await empty.refused("unknown_call") { try await empty.result(of: "a") }
    }

    /// Each open call gets a tool message before the user's message.
    @Test("A user message closes open calls in the model's order (I1)")
    func aUserMessageClosesOpenCalls() async throws {
        let it = try await ScriptSession.waiting(for: "z", "y", "x", "w")
        _ = try await it.result(of: "y")
        let answer = try await it.begin()
        #expect(answer.name == "started" && answer.step == 2)
        let dump = try await it.dump()
        let history = try dump.history.map { try JSON($0) }
        #expect(Conversation.violation(history) == nil)
        try #require(history.map { $0["role"].string } == ["user", "assistant", "tool", "tool", "tool", "tool", "user"])
        #expect(history[2...5].map { $0["tool_call_id"].string } == ["y", "z", "x", "w"])
        #expect(history[3...5].allSatisfy { $0["content"].string?.hasPrefix("cancelled: ") == true })
        #expect(dump.pending.isEmpty)
        #expect(["z", "x", "w"].map { dump.ledger["c:\($0)"] } == ["1 0 cancelled", "1 2 cancelled", "1 3 cancelled"])
        try await it.refused("call_closed") { try await it.result(of: "x") }
        try await it.refused("waiting 1 7") { try await it.result(of: "y") }
    }

    /// The history contains used call ids with the escapes of the model's server.
    @Test("A closed call is named in the server's own bytes (I1)")
    func aClosedCallIsNamedInTheServersOwnBytes() async throws {
        let ids = ["a/b", #"q"\"#, #"\/"#, #"\u007f"#, "\u{7F}", "\n\t\r\u{8}\u{C}\u{0}\u{1F}", "\u{85}\u{2028}\u{2029}", "ü日👩‍👩‍👧", "{}%1%%"]
        let (it, token) = try await ScriptSession.running()
        var commit = CommitArguments()
        commit.calls = ids.map { ScriptedCall($0) }
        commit.messages = [#"{"role":"assistant","content":null}"#]
        _ = try await it.commit(token, 1, commit)
        _ = try await it.begin()
        let history = try await it.dump().history
        try #require(history.count == ids.count + 3)
        for (index, id) in ids.enumerated() {
            let name = CheckedJSON(string: id).text
            #expect(history[2 + index].hasPrefix(#"{"role":"tool","tool_call_id":\#(name),"content":"cancelled"#))
            #expect(try JSON(history[2 + index])["tool_call_id"].string == id)
        }
    }

    // MARK: Idempotency keys

    @Test("The key of a result is remembered")
    func aKeyOfAResultIsRemembered() async throws {
        let it = try await ScriptSession.waiting(for: "a", "b")
        func keyed(_ id: String, key: String, digest: String) async throws -> ScriptAnswer {
            try await it.result(of: id) {
                $0.key = key
                $0.digest = digest
            }
        }
        #expect(try await keyed("a", key: "ka", digest: "da").line == "waiting 1 3 b")
        #expect(try await it.dump().ledger["k:ka"] == "1 da")
        try await it.refused("waiting 1 3 b") { try await keyed("a", key: "ka", digest: "da") }
        try await it.refused("idempotency_mismatch") { try await keyed("b", key: "ka", digest: "db") }
        #expect(try await keyed("b", key: "kb", digest: "db").step == 2)
        #expect(try await it.dump().ledger["k:kb"] == "2 db")
        try await it.refused("replay 2 4") { try await keyed("b", key: "kb", digest: "db") }
        // The call identifies the request, even if the key is new.
        try await it.refused("replay 2 4") { try await keyed("b", key: "new", digest: "db") }
        #expect(try await it.dump().ledger["k:new"] == nil)
    }

    @Test("A result during a running step is classified")
    func aResultDuringARunningStepIsToldWhatItIs() async throws {
        let it = try await ScriptSession.waiting(for: "a")
        _ = try await it.result(of: "a")
        try await it.refused("replay 2 3") { try await it.result(of: "a") }
        try await it.refused("result_conflict") { try await it.result("else", of: "a") }
        try await it.refused("unknown_call") { try await it.result(of: "b") }
    }
}
