import NIOCore
import SessionStore
import TestSupport
import Testing

@testable import AgentService
@testable import LanguageModels
@testable import agent_server

/// A step's replica is lost (I6).
@Suite("Taking over steps", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct StepTakeOverTests {
    @Test("A lost step runs again from the history (I6)")
    func aLostStepIsRunAgainFromTheHistory() async throws {
        let lost = try await SessionInRedis(.shared())
        let lease = try await lost.begin()
        try await lost.log(lease, tokens: "half an ", "ans")
        let turns = Turns(try await lost.elsewhere(), model: PlayedModel.saying("whole"))
        // The replica does not take a living owner's step.
        #expect(try await !turns.service.takeOver(lost.id, step: 1))
        try lost.expire()
        // The replica takes only the named step.
        #expect(try await !turns.service.takeOver(lost.id, step: 2))
        #expect(try await turns.service.takeOver(lost.id, step: 1))
        let told = try await turns.follow(1)
        #expect(told.map(\.name) == ["message", "message", "restart", "message", "message", "done"])
        #expect(told.map { $0.id?.prefix(3) } == ["1-1", "1-2", "2-0", "2-1", "2-2", "2-3"])
        #expect(told[2].data == ["type": "restart", "step": 2, "replaces": 1, "reason": "replica_lost"])
        #expect(told.content == "whole" && told.done["status"] == "completed" && told.done["step"] == 2)
        #expect(try turns.history().map { $0["content"] } == ["hello", "whole"])
        #expect(try turns.model.requests.map { try $0.messages.map { try JSON(parsing: $0)["content"] } } == [["hello"]])
        // The former owner writes nothing (I3).
        await #expect(throws: SessionInRedis.NotStarted.self) { try await lost.log(lease, tokens: "late") }
        await #expect(throws: SessionInRedis.NotStarted.self) { try await lost.commit(lease, saying: "late") }
        #expect(try turns.history().count == 2)
    }

    @Test("The turn's settings stay with a step that is taken over")
    func aTurnsSettingsGoAlong() async throws {
        let lost = try await SessionInRedis(.shared())
        let settings = TurnSettings(
            model: "m-1", tools: ByteBuffer(string: "[]"), metadata: ByteBuffer(string: #"{"a":1}"#), onDisconnect: .cancel)
        let message = ChatMessage.user(content: ByteBuffer(string: #""hello""#))
        _ = try await lost.store.begin(BeginStep(session: lost.id, input: .user(message), settings: settings))
        try lost.expire()
        let turns = Turns(try await lost.elsewhere(), model: PlayedModel.saying("whole"))
        #expect(try await turns.service.takeOver(lost.id, step: 1))
        // No client listens, and none has left.
        try await eventually("it is answered") { try turns.history().last?["content"] == "whole" }
        #expect(turns.model.requests.map(\.model) == ["m-1"] && turns.model.requests.allSatisfy { $0.tools == nil })
        let journal = try JSON(try lost.redis.cli("LINDEX", lost.keys.steps, "-1"))
        #expect(journal["metadata"] == ["a": 1] && journal["step"] == 2 && journal["history"] == [1, 2])
    }

    @Test("A step fails after three attempts")
    func afterThreeAttemptsItFails() async throws {
        let lost = try await SessionInRedis(.shared())
        _ = try await lost.begin()
        try await lost.seize(1)
        try await lost.seize(2)
        try lost.expire()
        let turns = Turns(try await lost.elsewhere(), model: PlayedModel.saying("never"))
        #expect(try await turns.service.takeOver(lost.id, step: 3))
        let told = try await turns.follow(3)
        #expect(told.error["code"] == "takeover_exhausted" && told.error["retryable"] == true)
        #expect(told.done["status"] == "failed")
        #expect(turns.model.requests.isEmpty)
        #expect(try lost.state("status") == "idle" && turns.history().count == 1)
        turns.model.play(PlayedModel.saying("at last"))
        #expect(try await turns.post(["type": "retry"]).all().content == "at last")
    }

    /// After an outage, living replicas renew first.
    @Test("After an outage no step is taken over for a while")
    func afterAnOutageNothingIsTakenForAWhile() async throws {
        let lost = try await SessionInRedis(.shared(), lease: .milliseconds(200))
        _ = try await lost.begin()
        try lost.expire()
        let pause = Duration.milliseconds(300)
        let begun = ContinuousClock.now
        let turns = Turns(try await lost.elsewhere(outagePause: pause), model: PlayedModel.saying("late"))
        #expect(try await !turns.service.takeOver(lost.id, step: 1))
        try await eventually("the pause is over") { try await turns.service.takeOver(lost.id, step: 1) }
        #expect(ContinuousClock.now - begun >= pause)
    }

    /// The client's request takes the step over, before a sweeper does.
    @Test("A repeated request takes the step over at once")
    func aRetryTakesOverAtOnce() async throws {
        let lost = try await SessionInRedis(.shared())
        let turns = Turns(try await lost.elsewhere(), model: PlayedModel.saying("whole"))
        let body = AgentClient.body(lost.id.text, ["content": "hello"])
        let request = try TurnRequest(body: ByteBuffer(string: body.text), tenant: .standard, as: .tenant, idempotencyKey: "k")
        let begin = BeginStep(session: lost.id, input: request.input, settings: request.settings, idempotency: request.idempotency)
        _ = try await lost.store.begin(begin)
        try lost.expire()
        let told = try await turns.say("hello", key: "k").all()
        #expect(told.map(\.name) == ["restart", "message", "message", "done"])
        #expect(told.content == "whole")
        #expect(try turns.history().count == 2)
    }

    /// A client that repeats a refused request does not prevent the takeover.
    @Test("A refused request takes the step over as well")
    func aRefusedRequestTakesOverToo() async throws {
        let lost = try await SessionInRedis(.shared())
        _ = try await lost.begin()
        try lost.expire()
        let turns = Turns(try await lost.elsewhere(), model: PlayedModel.saying("whole"))
        let error = await #expect(throws: TurnError.self) { _ = try await turns.result("r", of: "stale") }
        guard case .refused(.unknownCall)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        try await eventually("it is answered") { try turns.history().last?["content"] == "whole" }
    }

    /// The session was deleted and begun anew while its replica was paused.
    @Test("The client of a deleted session learns its end, not the new session's text")
    func aFormerSessionsClientIsToldOfItsEnd() async throws {
        let session = try await SessionInRedis(.shared(), lease: .seconds(60))
        let gate = Gate()
        let turns = Turns(session) {
            $0.logInterval = .seconds(3600)
        } model: { _, sink in
            try await sink([.textDelta("mine ")])
            await gate.pass()
            try await PlayedModel.saying("never")(LLMRequest(model: "", messages: []), sink)
        }
        let listener = try await turns.say("hello")
        try await eventually("it runs") { try !listener.tokens().isEmpty }
        let other = try await session.elsewhere()
        #expect(try await other.store.delete(session.id))
        for answer in ["SECRET", "another"] {
            let lease = try await other.begin("a question")
            var line = StepCommit(
                lease: lease, messages: [ChatMessage.assistant(text: ByteBuffer(string: answer), calls: [])], calls: [],
                events: LoggedEvents(firstSequence: 1), promptTokens: 0, completionTokens: 0, journalLine: ByteBuffer())
            line.journalLine = ByteBuffer(
                string:
                    #"{"step":\#(lease.step),"status":"completed","history":[\#(2 * lease.step - 1),\#(2 * lease.step)],"nonce":"\#(lease.token.nonce)"}"#
            )
            #expect(try await other.store.commit(line) == .held)
        }
        gate.open()
        let told = try await listener.all()
        #expect(!told.contains { "\($0)".contains("SECRET") })
        #expect(told.error["code"] == "session_deleted" && told.done["status"] == "failed")
    }

    @Test("Another message is refused and still has the lost step taken over")
    func anotherMessageTakesOverToo() async throws {
        let lost = try await SessionInRedis(.shared())
        _ = try await lost.begin()
        try lost.expire()
        let turns = Turns(try await lost.elsewhere(), model: PlayedModel.saying("whole"))
        guard case .busy(step: 1, _)? = await turns.refusal("next") else {
            Issue.record("it was accepted")
            return
        }
        try await eventually("it is answered") { try turns.history().last?["content"] == "whole" }
        #expect(try await turns.say("next").all().content == "whole")
    }
}
