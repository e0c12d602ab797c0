import NIOCore
import SessionStore
import TestSupport
import Testing

@testable import AgentService
@testable import LanguageModels

/// Turns run on a real Redis.
@Suite("Turns from a message to done", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct TurnServiceTests {
    static func turns(
        maximumSteps: Int = 100, _ change: (inout TurnConfiguration) -> Void = { _ in }, model: @escaping PlayedModel.Script
    ) async throws -> Turns {
        Turns(try await SessionInRedis(.shared()), maximumSteps: maximumSteps, change, model: model)
    }

    // MARK: Successful turns

    @Test("A completion is streamed, stored and logged")
    func anAnswerIsToldStoredAndLogged() async throws {
        let turns = try await Self.turns(model: PlayedModel.saying("Hel", "lo ", "😀"))
        let told = try await turns.say("hello").all()
        #expect(told.tokens == "Hello 😀")
        #expect(told.content == "Hello 😀")
        #expect(
            told.done == [
                "status": "completed", "session_id": .string(turns.session.id.text), "step": 1, "history_length": 3, "pending_calls": [],
                "finish_reason": "stop", "usage": ["prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21],
            ])
        #expect(
            try turns.history() == [
                ["role": "system", "content": "be brief"], ["role": "user", "content": "hello"],
                ["role": "assistant", "content": "Hello 😀"],
            ])
        // Every event has the next position, and the log contains the same events.
        let ids = told.compactMap { $0.id.flatMap { EventID($0) } }
        #expect(ids.map(\.sequence) == Array(1...told.count))
        #expect(Set(ids.map(\.nonce)) == [try turns.session.state("nonce")])
        let log = try await turns.session.entries(step: 1).flatMap(\.fields)
        #expect(log.map(\.name) == ["token", "token", "token", "message", "done"])
        #expect(try JSON(parsing: try #require(log.last).value) == told.done)
        #expect(try turns.session.state("status") == "idle")
        let journal = try JSON(try turns.session.redis.cli("LINDEX", turns.session.keys.steps, "-1"))
        #expect(journal["status"] == "completed" && journal["owner"] == "owner" && journal["history"] == [2, 3])
    }

    @Test("The request to the model follows the turn's settings")
    func theModelIsAskedWithWhatTheTurnSays() async throws {
        let turns = try await Self.turns(model: PlayedModel.saying("x"))
        let listener = try await turns.post(
            ["content": "hello"], ["model": "m-1", "tools": [], "metadata": ["a": [1, "\u{2028}"]]], traceparent: "00-aa-bb-01")
        #expect(try await listener.all().done["metadata"] == ["a": [1, "\u{2028}"]])
        _ = try await turns.say("again").all()
        let requests = turns.model.requests
        try #require(requests.count == 2)
        #expect(requests.map(\.model) == ["m-1", "default-model"])
        #expect(requests[0].tools == nil)
        #expect(requests[1].tools == ToolRegistry.builtIn.json)
        #expect(requests.map(\.traceparent) == ["00-aa-bb-01", nil])
        #expect(try requests[1].messages.map { try JSON(parsing: $0)["role"] } == ["system", "user", "assistant", "user"])
    }

    @Test("Calls are emitted, and their results continue the turn")
    func callsAreToldAndTheirResultsGoOn() async throws {
        let turns = try await Self.turns(
            model: PlayedModel.calling((id: "a", name: "read_file", arguments: #"{"path":"x"}"#), (id: "b", name: "echo", arguments: "")))
        let told = try await turns.say("read it").all()
        #expect(told.calls.map { $0["call_id"] } == ["a", "b"])
        #expect(told.done["status"] == "waiting")
        #expect(told.done["pending_calls"] == ["a", "b"])

        turns.model.play(PlayedModel.saying("fine"))
        let first = try await turns.result("B", of: "b").all()
        #expect(first.map(\.name) == ["done"])
        #expect(first.done["status"] == "waiting" && first.done["pending_calls"] == ["a"])
        #expect(turns.model.requests.count == 1)
        #expect(try await turns.result(["json": true], of: "a").all().content == "fine")
        // The repeated request gets the same events, without a call of the model.
        #expect(try await turns.result(["json": true], of: "a").all().content == "fine")
        #expect(turns.model.requests.count == 2)
        let history = try turns.history()
        #expect(history.map { $0["role"] } == ["system", "user", "assistant", "tool", "tool", "assistant"])
        #expect(Conversation.violation(history) == nil)
    }

    @Test("A repeated key is answered from the log")
    func theSameKeyIsAnsweredFromTheLog() async throws {
        let turns = try await Self.turns(model: PlayedModel.saying("one", "two"))
        let first = try await turns.say("hello", key: "k").all()
        let second = try await turns.say("hello", key: "k").all()
        #expect(first == second)
        #expect(turns.model.requests.count == 1)
        await #expect(throws: TurnError.self) { _ = try await turns.say("other", key: "k") }
        #expect(try turns.history().count == 3)
    }

    /// Some models repeat their ids. Redis's JSON library writes some ids with other escapes.
    @Test("A call id is never used twice (I1)", arguments: ["call_0", "a/b", "\u{2028}", "\u{7F}", "ü\"\\"])
    func anIDIsNeverUsedTwice(id: String) async throws {
        let turns = try await Self.turns(model: PlayedModel.calling((id: id, name: "echo", arguments: "{}")))
        let first = try #require(try await turns.say("one").all().done["pending_calls"][0].string)
        #expect(CallID.isAccepted(id) ? first == id : first != id && CallID.isAccepted(first))
        // The user sends another message, so that the script closes the call.
        let second = try await turns.say("two").all()
        let fresh = try #require(second.done["pending_calls"][0].string)
        #expect(fresh != first)
        let third = try await turns.result("x", of: fresh).all()
        #expect(third.done["pending_calls"][0] != .string(first))
        #expect(third.done["pending_calls"][0] != .string(fresh))
        turns.model.play(PlayedModel.saying("done"))
        #expect(try await turns.say("three").all().done["status"] == "completed")
        #expect(Conversation.violation(try turns.history()) == nil)
        for request in turns.model.requests { #expect(Conversation.violation(try request.messages.map { try JSON(parsing: $0) }) == nil) }
    }

    @Test("Invalid arguments are repaired in the same step")
    func invalidArgumentsAreRepairedInTheSameStep() async throws {
        let turns = try await Self.turns { request, sink in
            let isRepair = request.messages.count > 2
            try await PlayedModel.calling((id: "a", name: "echo", arguments: isRepair ? #"{"text":"x"}"# : "nonsense"))(request, sink)
        }
        let told = try await turns.say("hello").all()
        #expect(told.calls.count == 1)
        #expect(told.done["step"] == 1 && told.done["status"] == "waiting")
        #expect(turns.model.requests.map(\.messages.count) == [2, 4])
        turns.model.play(PlayedModel.saying("done"))
        _ = try await turns.result("x", of: try #require(told.calls[0]["call_id"].string)).all()
        #expect(Conversation.violation(try turns.history()) == nil)
    }

    // MARK: I4

    /// Clients get the end only after Redis has acknowledged it.
    @Test("No final event is sent before Redis has stored it (I4)", arguments: [true, false])
    func nothingFinalIsToldBeforeItIsStored(calls: Bool) async throws {
        let redis = try await RedisServer.start()
        let gate = Gate()
        let session = try await SessionInRedis(redis, lease: .seconds(60))
        let turns = Turns(session) {
            // The commit is the only write.
            $0.logInterval = .seconds(3600)
        } model: { request, sink in
            try await sink([.textDelta("Hello")])
            await gate.pass()
            try await (calls ? PlayedModel.calling((id: "a", name: "echo", arguments: "{}")) : PlayedModel.saying("!"))(request, sink)
        }
        let listener = try await turns.say("hello")
        try await eventually("the first token is told") { try listener.tokens() == "Hello" }
        try await session.holdWrites()
        gate.open()
        try await eventually("the commit waits in Redis") { try redis.waiting() == 1 }
        let early = try listener.soFar()
        #expect(early.allSatisfy { $0.data["token"].string?.isEmpty == false }, "\(early)")
        #expect(try turns.history().count == 2)
        try redis.letWritesGo()
        let told = try await listener.all()
        #expect(told.map(\.name).suffix(2) == ["message", "done"])
        #expect(told.calls.count == (calls ? 1 : 0))
        #expect(try turns.history().count == 3)
        try await redis.stop()
    }

    // MARK: Failures

    @Test("A failure is reported and can be retried")
    func aFailureIsToldAndCanBeRetried() async throws {
        let turns = try await Self.turns { _, sink in
            try await sink([.textDelta("half")])
            throw LLMError(.timeout, "The model was silent.")
        }
        let told = try await turns.say("hello").all()
        #expect(told.tokens == "half")
        #expect(
            told.error == ["type": "error", "error": "The model was silent.", "code": "llm_timeout", "retryable": true, "is_final": true])
        #expect(told.done["status"] == "failed" && told.done["history_length"] == 2)
        #expect(told.allSatisfy { $0.id != nil })
        #expect(try turns.history().map { $0["role"] } == ["system", "user"])
        #expect(try turns.session.state("status") == "idle")

        turns.model.play(PlayedModel.saying("whole"))
        #expect(try await turns.post(["type": "retry"]).all().content == "whole")
        #expect(try turns.history().map { $0["role"] } == ["system", "user", "assistant"])
        // After that, nothing is left to retry.
        let error = await #expect(throws: TurnError.self) { _ = try await turns.post(["type": "retry"]) }
        guard case .refused(.nothingToRetry) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("Invalid arguments twice leave a valid history")
    func invalidArgumentsTwiceLeaveAGoodHistory() async throws {
        let turns = try await Self.turns(model: PlayedModel.calling((id: "a", name: "echo", arguments: "nonsense")))
        let told = try await turns.say("hello").all()
        #expect(told.error["code"] == "invalid_tool_arguments")
        #expect(told.done["status"] == "failed" && told.done["pending_calls"] == [])
        #expect(turns.model.requests.count == 2)
        let history = try turns.history()
        #expect(told.done["history_length"].int == history.count)
        #expect(Conversation.violation(history) == nil)
    }

    @Test("A completion that is too large fails")
    func anAnswerThatIsTooLargeFails() async throws {
        let turns = try await Self.turns {
            $0.maximumAnswerBytes = 1000
        } model: { _, sink in
            while true { try await sink([.textDelta(String(repeating: "x", count: 100))]) }
        }
        let told = try await turns.say("hello").all()
        #expect(told.error["code"] == "llm_invalid_response")
        #expect(told.tokens.utf8.count <= 1000)
        #expect(told.done["status"] == "failed")
    }

    @Test("A second message is refused while a step runs")
    func aSecondMessageIsRefusedWhileAStepRuns() async throws {
        let turns = try await Self.turns(model: PlayedModel.endless)
        let listener = try await turns.say("hello")
        let error = await #expect(throws: TurnError.self) { _ = try await turns.say("too soon") }
        guard case .busy(step: 1, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try turns.history().count == 2)
        #expect(try await turns.session.store.delete(turns.session.id))
        _ = try await listener.all()
    }

    @Test("A turn beyond the bound writes nothing")
    func overTheBoundNothingIsWritten() async throws {
        let gate = Gate()
        let turns = try await Self.turns(maximumSteps: 1) { request, sink in
            await gate.pass()
            try await PlayedModel.saying("x")(request, sink)
        }
        let listener = try await turns.say("hello")
        let error = await #expect(throws: TurnError.self) { _ = try await turns.say("too much") }
        guard case .overloaded = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        gate.open()
        _ = try await listener.all()
        #expect(try turns.history().count == 3)
    }

    @Test("The step goes on without its client")
    func theStepGoesOnWithoutItsClient() async throws {
        let gate = Gate()
        let turns = try await Self.turns { request, sink in
            await gate.pass()
            try await PlayedModel.saying("said to nobody")(request, sink)
        }
        let listener = try await turns.say("hello")
        listener.stream.close()
        gate.open()
        try await eventually("the answer is stored") { try turns.history().last?["content"] == "said to nobody" }
        #expect(try await listener.all().isEmpty)
    }
}
