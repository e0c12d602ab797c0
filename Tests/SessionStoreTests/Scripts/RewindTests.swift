import NIOCore
import TestSupport
import Testing

@testable import SessionStore

/// A client cuts a history to its first messages.
@Suite("Rewinding a history", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct RewindTests {
    private func journal(_ step: Int, from: Int, to: Int) -> String {
        #"{"step":\#(step),"status":"completed","history":[\#(from),\#(to)]}"#
    }

    /// user, assistant, user, assistant with calls a and b, tool a: step 2 waits for b.
    private func conversation(layout: Int = 2, in session: ScriptSession? = nil) async throws -> ScriptSession {
        let it: ScriptSession
        if let session { it = session } else { it = try await ScriptSession() }
        let token = LeaseToken().text
        _ = try await it.begin { ($0.token, $0.layout, $0.key, $0.digest) = (token, layout, "key-1", "d") }
        var first = CommitArguments.text("one")
        first.journalLine = journal(1, from: 1, to: 2)
        _ = try await it.commit(token, 1, first)
        let second = LeaseToken().text
        _ = try await it.begin { ($0.token, $0.layout, $0.key, $0.digest) = (second, layout, "key-2", "d") }
        var calls = CommitArguments.calls("a", "b")
        calls.journalLine = journal(2, from: 3, to: 4)
        _ = try await it.commit(second, 2, calls)
        #expect(try await it.result(of: "a") { $0.layout = layout }.name == "waiting")
        return it
    }

    @Test("A cut removes everything that came of the removed messages", arguments: [1, 2])
    func whatCameOfTheRestGoesWithIt(layout: Int) async throws {
        let it = try await conversation(layout: layout)
        let store = try await it.store()
        let before = try await it.dump()
        #expect(try await store.rewind(it.session, to: 2) == .rewound(historyLength: 2, step: 3))
        let after = try await it.dump()
        #expect(after.history == Array(before.history.prefix(2)))
        #expect(after.pending == (layout == 2 ? ["": "{}"] : [:]))
        #expect(after.ledger.keys.filter { !$0.hasPrefix("t:") }.sorted() == ["k:key-1"])
        #expect(after.steps.filter { $0 != "{}" }.first == journal(1, from: 1, to: 2))
        #expect(try JSON(after.steps.last ?? "")["step"].int == 3)
        #expect(try JSON(after.steps.last ?? "")["status"].string == "cancelled")
        #expect(after.state["status"] == "idle" && after.state["fence"] == "3" && after.state["last_role"] == "assistant")
        #expect(after.state["history_bytes"] == "\(after.history.reduce(0) { $0 + $1.utf8.count })")
        #expect(try await it.result(of: "b").name == "unknown_call")
        // A client may send the message again, with its key.
        #expect(try await it.begin { ($0.layout, $0.key, $0.digest) = (layout, "key-2", "d") }.step == 4)
    }

    /// Only the completion is removed. The script still recognises the message.
    @Test("A message that stays keeps its key")
    func aMessageThatStaysKeepsItsKey() async throws {
        let it = try await conversation()
        #expect(try await it.store().rewind(it.session, to: 3) == .rewound(historyLength: 3, step: 3))
        #expect(try await it.dump().ledger.keys.filter { !$0.hasPrefix("t:") }.sorted() == ["k:key-1", "k:key-2"])
        #expect(try await it.begin { ($0.layout, $0.key, $0.digest) = (2, "key-2", "d") }.name == "replay")
        #expect(try await it.dump().history.count == 3)
    }

    /// The key names a step that was taken over, and the journal's line is that of the later step.
    @Test("A removed message whose step was taken over loses its key")
    func aMessageWhoseStepWasTakenOverLosesItsKeyWithIt() async throws {
        let it = try await conversation()
        try await it.command("LSET", it.keys.steps, "-1", #"{"step":9,"status":"waiting","history":[3,4],"replaced":["2.aaaa"]}"#)
        try await it.command("HSET", it.keys.state, "fence", "9")
        #expect(try await it.store().rewind(it.session, to: 2) == .rewound(historyLength: 2, step: 10))
        #expect(try await it.dump().ledger.keys.filter { !$0.hasPrefix("t:") }.sorted() == ["k:key-1"])
    }

    @Test("A cut does not separate calls from results")
    func callsAreNotParted() async throws {
        let it = try await conversation()
        let store = try await it.store()
        let before = try await it.dump()
        #expect(try await store.rewind(it.session, to: 4) == .splitsCalls)
        #expect(try await store.rewind(it.session, to: 6) == .tooLong(historyLength: 5))
        #expect(try await store.rewind(it.session, to: 2, expected: 4) == .historyMismatch(length: 5))
        // The history already has that length.
        #expect(try await store.rewind(it.session, to: 5) == .rewound(historyLength: 5, step: 2))
        #expect(try await it.dump() == before)
        #expect(try await store.rewind(.unique(), to: 1) == .noSession)
    }

    @Test("A cut is refused while a step runs")
    func aRunningStepIsNotCutOff() async throws {
        let (it, _) = try await ScriptSession.running()
        #expect(try await it.store().rewind(it.session, to: 1) == .busy(step: 1))
    }

    @Test("Reasoning goes with its message")
    func whatWasStoredForTheModelGoesByItsMessage() async throws {
        let it = try await conversation()
        for at in [1, 3] { try await it.command("RPUSH", it.keys.reasoning, #"{"at":\#(at),"by":"default/m"}"#) }
        _ = try await it.store().rewind(it.session, to: 3)
        let reply = try await it.command("LRANGE", it.keys.reasoning, "0", "-1")
        #expect(reply.plainList == ["{}", #"{"at":1,"by":"default/m"}"#])
    }

    /// The reply is lost, and another client adds messages. The repeated cut does not remove them.
    @Test("A repeated cut cuts once")
    func aRepeatedCutCutsOnce() async throws {
        let lossy = try await LossyStore()
        let it = try await conversation(in: lossy.it)
        lossy.lose(.reply, of: StoreScripts.rewind)
        #expect(try await lossy.store.rewind(it.session, to: 2) == .rewound(historyLength: 2, step: 3))
        #expect(try await it.dump().steps.count { $0.contains("rewound_from") } == 1)
        #expect(try await it.dump().state["fence"] == "3")
        try await lossy.close()
    }

    // MARK: Messages that the model's server refuses

    @Test("The next message replaces the refused one", arguments: [1, 2])
    func aRefusedMessageGoesWhenTheNextOneComes(layout: Int) async throws {
        let (it, token) = try await ScriptSession.running { $0.layout = layout }
        var rejected = CommitArguments()
        rejected.isRejected = true
        _ = try await it.commit(token, 1, rejected)
        #expect(try await it.dump().history.count == 1)
        let next = LeaseToken().text
        let better = #"{"role":"user","content":"without the image"}"#
        #expect(try await it.begin { ($0.token, $0.message, $0.layout) = (next, better, layout) }.length == 1)
        #expect(try await it.dump().history == [better])
        #expect(try await it.dump().state["history_bytes"] == "\(better.utf8.count)")
        // A message whose step failed for another reason stays.
        _ = try await it.commit(next, 2, CommitArguments())
        #expect(try await it.begin { $0.layout = layout }.length == 2)
    }

    /// The refusal may be the fault of the model's server.
    @Test("A retry keeps the refused message")
    func aRetryKeepsTheRefusedMessage() async throws {
        let (it, token) = try await ScriptSession.running { $0.layout = 2 }
        var rejected = CommitArguments()
        rejected.isRejected = true
        _ = try await it.commit(token, 1, rejected)
        let again = LeaseToken().text
        #expect(try await it.retry { $0.token = again }.length == 1)
        _ = try await it.commit(again, 2)
        #expect(try await it.begin().length == 3)
    }

    /// The state of layout 1 does not contain the last message's role.
    @Test("A message may be retried as often as the server refuses it", arguments: [1, 2])
    func aRetryAsOftenAsTheServerRefuses(layout: Int) async throws {
        let (it, token) = try await ScriptSession.running()
        var rejected = CommitArguments()
        rejected.isRejected = true
        _ = try await it.commit(token, 1, rejected)
        for step in 2...3 {
            let again = LeaseToken().text
            #expect(try await it.retry { ($0.token, $0.layout) = (again, layout) }.step == step)
            _ = try await it.commit(again, step, rejected)
            #expect(try await it.dump().state["last_role"] == "user")
            #expect(try await it.dump().state["rejected"] == "\(step) 0")
        }
        #expect(try await it.begin { $0.layout = layout }.length == 1)
    }

    /// Builds of layout 1 do not change `rejected`, so that it may concern another step.
    @Test("A refusal in another step removes nothing")
    func aMessageThatWasRefusedInAnotherStepStays() async throws {
        let (it, token) = try await ScriptSession.running()
        var rejected = CommitArguments()
        rejected.isRejected = true
        _ = try await it.commit(token, 1, rejected)
        try await it.command("HINCRBY", it.keys.state, "fence", "1")
        #expect(try await it.begin().length == 2)
    }

    @Test("A retry may replace the last message", arguments: [1, 2])
    func aRetryMayReplaceTheLastMessage(layout: Int) async throws {
        let (it, token) = try await ScriptSession.running { $0.layout = layout }
        _ = try await it.commit(token, 1, CommitArguments())
        let other = #"{"role":"user","content":"said otherwise"}"#
        func replace(_ token: String, key: String = "") async throws -> ScriptAnswer {
            try await it.begin {
                ($0.token, $0.kind, $0.message, $0.key, $0.digest, $0.layout) = (token, "replace", other, key, "d", layout)
            }
        }
        let second = LeaseToken().text
        #expect(try await replace(second, key: "k").step == 2)
        #expect(try await it.dump().history == [other])
        // The script recognises the repeated message.
        #expect(try await replace(LeaseToken().text, key: "k").line == "replay 2 1")
        _ = try await it.commit(second, 2)
        try await it.refused("nothing_to_retry") { try await replace(LeaseToken().text) }
        let third = LeaseToken().text
        _ = try await it.begin { ($0.token, $0.layout) = (third, layout) }
        _ = try await it.commit(third, 3, .calls("a"))
        try await it.refused("calls_pending a") { try await replace(LeaseToken().text) }
    }
}
