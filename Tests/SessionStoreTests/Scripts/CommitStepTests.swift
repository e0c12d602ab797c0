import RedisClient
import TestSupport
import Testing

@testable import SessionStore

@Suite("commit_step", .tags(.redis), .serialized)
struct CommitStepTests {
    @Test("A completion ends the step")
    func anAnswerEndsTheStep() async throws {
        let (it, token) = try await ScriptSession.running()
        var expected = try await it.dump()
        var commit = CommitArguments.text()
        (commit.promptTokens, commit.completionTokens, commit.journalLine) = (9, 12, #"{"step":1}"#)
        (commit.lastSequence, commit.events, commit.finishReason) = (2, ["token", "hi", "done", "{}"], "length")
        let answer = try await it.commit(token, 1, commit)
        #expect(answer.line == "committed 2")

        expected.history += commit.messages
        expected.state.merge(
            [
                "status": "idle", "token": "", "lease_until": "0", "intent": "", "updated_at": "\(answer.now)", "prompt_tokens": "9",
                "completion_tokens": "12", "last_role": "assistant", "rejected": "", "finish_reason": "length",
                "history_bytes": "\(expected.history.reduce(0) { $0 + $1.utf8.count })",
            ]
        ) { $1 }
        expected.ledger["t:\(token)"] = "1 committed"
        expected.events.append(SessionDump.Entry(id: "1-2", fields: commit.events))
        expected.steps = [#"{"step":1}"#]
        expected.expiry["steps"] = -1
        #expect(try await it.dump() == expected)
    }

    @Test("A step with calls waits for their results")
    func callsAreWaitedFor() async throws {
        let (it, token) = try await ScriptSession.running()
        var commit = CommitArguments.calls("b", "a")
        commit.calls[0].json = #"{"tool_name":"x y","arguments":{"n":12345678901234567890},"step":1}"#
        commit.calls[0].name = "x y"
        #expect(try await it.commit(token, 1, commit).line == "committed 2")
        let dump = try await it.dump()
        #expect(dump.state["status"] == "waiting")
        #expect(dump.pending == ["b": commit.calls[0].json, "a": commit.calls[1].json])
        #expect(dump.ledger == ["t:\(token)": "1 committed", "c:b": "1 0 pending x y", "c:a": "1 1 pending read_file"])
        try await it.refused("tool_name_mismatch x y") { try await it.result(of: "b") { $0.toolName = "x" } }
    }

    @Test("A step may end without a message")
    func aStepMayEndWithoutAMessage() async throws {
        let (it, token) = try await ScriptSession.running()
        #expect(try await it.commit(token, 1, CommitArguments()).line == "committed 1")
        let dump = try await it.dump()
        #expect(dump.history.count == 1)
        #expect(dump.events.map(\.id) == ["1-0"])
        #expect(dump.state["status"] == "idle" && dump.state["prompt_tokens"] == nil)
        #expect(dump.steps.count == 1)
    }

    /// Meanwhile, other steps may have run.
    @Test("The same token commits once and gets the first reply again")
    func theSameTokenCommitsOnce() async throws {
        let (it, token) = try await ScriptSession.running()
        var commit = CommitArguments.calls("a")
        (commit.promptTokens, commit.completionTokens, commit.lastSequence, commit.events) = (1, 2, 1, ["done", "{}"])
        #expect(try await it.commit(token, 1, commit).line == "committed 2")
        try await it.refused("already 2") { try await it.commit(token, 1, commit) }
        let second = LeaseToken().text
        _ = try await it.result(of: "a") { $0.token = second }
        try await it.refused("already 3") { try await it.commit(token, 1, commit) }
        _ = try await it.commit(second, 2)
        try await it.refused("already 4") { try await it.commit(token, 1, commit) }
        try await it.refused("already 4") { try await it.commit(second, 2) }
    }

    @Test("Another token writes nothing (I3)")
    func anotherTokenWritesNothing() async throws {
        let (it, token) = try await ScriptSession.running()
        try await it.refused("lost 1 ") { try await it.commit("other", 1) }
        try await it.refused("lost 1 ") { try await it.commit("", 1) }
        _ = try await it.takeOver { ($0.force, $0.intent) = (true, "cancel") }
        try await it.refused("lost 2 cancel") { try await it.commit(token, 1) }
        let none = try await ScriptSession()
        try await none.refused("lost 0 ") { try await none.commit(token, 1) }
        #expect(try await none.dump().isEmpty)
    }

    /// The token in the state of an idle session is empty. It must not match an empty token of a
    /// replica.
    @Test("An idle session takes no commit")
    func aSessionThatIsIdleTakesNoCommit() async throws {
        let (it, token) = try await ScriptSession.running()
        _ = try await it.commit(token, 1)
        try await it.refused("lost 1 ") { try await it.commit("other", 1) }
    }

    @Test("Events that the log already has are not written again")
    func eventsThatTheLogHasAreNotWrittenAgain() async throws {
        let (it, token) = try await ScriptSession.running()
        _ = try await it.append(token, 1, lastSequence: 2, ["token", "a", "done", "{}"])
        var commit = CommitArguments.text()
        (commit.lastSequence, commit.events) = (2, ["token", "a", "done", "{}"])
        #expect(try await it.commit(token, 1, commit).line == "committed 2")
        #expect(try await it.dump().events.map(\.id) == ["1-0", "1-2"])
    }

    /// The latest step may have no finish reason.
    @Test("The finish reason of the step before is replaced")
    func theReasonOfTheStepBeforeIsReplaced() async throws {
        let it = try await ScriptSession()
        for (step, reason) in [(1, "length"), (2, ""), (3, "stop")] {
            let token = LeaseToken().text
            _ = try await it.begin { $0.token = token }
            var commit = CommitArguments.text()
            commit.finishReason = reason
            _ = try await it.commit(token, step, commit)
            #expect(try await it.dump().state["finish_reason"] == reason)
        }
    }

    @Test("Usage adds up, and the journal is bounded")
    func usageAddsUpAndTheJournalIsBounded() async throws {
        let it = try await ScriptSession()
        for step in 1...5 {
            let token = LeaseToken().text
            _ = try await it.begin { $0.token = token }
            var commit = CommitArguments.text()
            (commit.promptTokens, commit.completionTokens, commit.journalBound) = (1_000_000_000, step == 3 ? 0 : 1, 3)
            commit.journalLine = "\(step)"
            _ = try await it.commit(token, step, commit)
        }
        let dump = try await it.dump()
        #expect(dump.steps == ["3", "4", "5"])
        #expect(dump.state["prompt_tokens"] == "5000000000" && dump.state["completion_tokens"] == "4")
    }

    /// The script checks everything before its first write. The session does not change.
    @Test("A log that cannot be written leaves the step running (I3)")
    func aLogThatCannotBeWrittenLeavesTheStepRunning() async throws {
        let (it, token) = try await ScriptSession.running()
        try await it.command("DEL", it.keys.events)
        try await it.command("SET", it.keys.events, "no stream")
        var commit = CommitArguments.text()
        (commit.lastSequence, commit.events) = (1, ["done", "{}"])
        await #expect(throws: RedisError.self) { _ = try await it.commit(token, 1, commit) }
        #expect(try await it.command("LLEN", it.keys.history).integer == 1)
        #expect(try await it.command("HGET", it.keys.state, "status").string == "running")
    }

    @Test("Many events, messages and calls fit into one commit", arguments: [1_500, 9_000])
    func manyEventsAndMessagesAndCallsFit(count: Int) async throws {
        let (it, token) = try await ScriptSession.running()
        var commit = CommitArguments()
        commit.messages = (0..<count).map { #"{"role":"user","content":"\#($0)"}"# }
        commit.calls = (0..<count / 2).map { ScriptedCall("call-\($0)") }
        commit.events = (1...count).flatMap { ["token", "t\($0)"] }
        commit.lastSequence = count + 7
        #expect(try await it.commit(token, 1, commit).line == "committed \(count + 1)")
        try await it.refused("already \(count + 1)") { try await it.commit(token, 1, commit) }
        let dump = try await it.dump()
        #expect(Array(dump.history.dropFirst()) == commit.messages)
        #expect(dump.pending.count == count / 2)
        #expect(dump.events.dropFirst().flatMap(\.fields) == commit.events)
        #expect(dump.events.last?.id == "1-\(count + 7)")

        // The session goes on after such a commit.
        #expect(try await it.result(of: "call-7").rest.count == 2 + count / 2 - 1)
        let next = try await it.begin()
        #expect(next.step == 2)
        let closed = try await it.dump()
        try #require(closed.history.count == count + 2 + count / 2)
        #expect(next.length == closed.history.count)
        #expect(try JSON(closed.history[count + 2])["tool_call_id"].string == "call-0")
        #expect(try JSON(closed.history[count + 9])["tool_call_id"].string == "call-8")
        #expect(closed.pending.isEmpty)
    }
}
