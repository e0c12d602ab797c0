import NIOCore
import SessionStore
import TestSupport
import Testing

@testable import AgentService
@testable import LanguageModels

@Suite("Messages to a session whose step runs", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct ConflictTests {
    private let gate = Gate()

    /// Creates turns whose first completion waits for the gate, on a Redis without other users.
    private func turns(wait: Duration = .seconds(30), maximumSteps: Int = 100) async throws -> Turns {
        let gate = gate
        return Turns(try await SessionInRedis(.start(), lease: .seconds(60)), maximumSteps: maximumSteps) {
            $0.wait = wait
        } model: { request, sink in
            let last = try JSON(parsing: request.messages.last ?? .init())["content"].string ?? ""
            try await sink([.textDelta("answer to ")])
            if last == "first" { await gate.pass() }
            try await PlayedModel.saying(last)(request, sink)
        }
    }

    @Test("A waiting message is accepted after the step has ended")
    func whoWaitsIsAcceptedOnceTheStepHasEnded() async throws {
        let turns = try await turns()
        let first = try await turns.say("first")
        try await eventually("it runs") { try await !turns.session.tokens(step: 1).isEmpty }
        async let second = turns.say("second", ["on_conflict": "wait"])
        async let third = turns.say("third", ["on_conflict": "wait"])
        let before = try turns.session.redis.cli("HGETALL", turns.session.keys.state)
        let hint = try turns.session.redis.cli("ZSCORE", turns.session.keys.running, turns.session.id.text)
        let looks = try turns.session.looks()
        try await eventually("both have looked more than once") { try turns.session.looks() > looks + 4 }
        // A waiting message writes nothing: neither the message nor a hint, which would delay
        // sweepers.
        #expect(try turns.session.redis.cli("HGETALL", turns.session.keys.state) == before)
        #expect(try turns.session.redis.cli("ZSCORE", turns.session.keys.running, turns.session.id.text) == hint)
        #expect(try turns.history().count == 2)
        gate.open()
        #expect(try await first.all().content == "answer to first")
        #expect(try await second.all().content == "answer to second")
        #expect(try await third.all().content == "answer to third")
        let history = try turns.history().compactMap { $0["content"].string }
        #expect(Set(history.dropFirst(3)) == ["second", "answer to second", "third", "answer to third"])
        #expect(Conversation.violation(try turns.history()) == nil)
    }

    @Test("A message that waited too long is refused")
    func whoHasWaitedLongEnoughIsRefused() async throws {
        let turns = try await turns(wait: .milliseconds(150))
        let first = try await turns.say("first")
        guard case .busy(step: 1, let left)? = await turns.refusal("second", ["on_conflict": "wait"]) else {
            Issue.record("it was accepted")
            return
        }
        #expect(left > .seconds(50))
        #expect(try turns.history().count == 2)
        gate.open()
        #expect(try await first.all().content == "answer to first")
    }

    /// A waiting message occupies one of the replica's slots for steps.
    @Test("The number of waiting messages is bounded")
    func onlySoManyMayWait() async throws {
        let turns = try await turns(maximumSteps: 2)
        let first = try await turns.say("first")
        async let second = turns.say("second", ["on_conflict": "wait"])
        // The attempt to begin also occupies a slot, and releases the slot before the message
        // waits.
        try await eventually("it waits") { try turns.session.redis.lines("PUBSUB", "NUMSUB", turns.session.keys.wake).last == "1" }
        #expect(turns.scheduler.slots == 2)
        guard case .overloaded? = await turns.refusal("third", ["on_conflict": "wait"]) else {
            Issue.record("it was accepted")
            return
        }
        gate.open()
        for answer in [first, try await second] { #expect(try await answer.all().done["status"] == "completed") }
    }

    @Test("An interrupt ends the step and keeps its text", arguments: [30, 0])
    func anInterruptEndsTheStepAndKeepsItsText(waitSeconds: Int) async throws {
        let turns = try await turns(wait: .seconds(waitSeconds))
        let first = try await turns.say("first")
        try await eventually("it is in the log") { try await !turns.session.tokens(step: 1).isEmpty }
        let second = try await turns.say("second", ["on_conflict": "interrupt"])
        #expect(try await second.all().content == "answer to second")
        gate.open()
        let told = try await first.all()
        #expect(told.done["status"] == "cancelled" && told.content == "answer to ")
        #expect(
            try turns.history().compactMap { $0["content"].string } == ["be brief", "first", "answer to ", "second", "answer to second"])
    }

    @Test("An interrupt without a running step is an ordinary message")
    func anInterruptOfNothing() async throws {
        let turns = try await turns()
        #expect(try await turns.say("second", ["on_conflict": "interrupt"]).all().content == "answer to second")
        #expect(try await turns.say("third", ["on_conflict": "wait"]).all().content == "answer to third")
    }

    /// Each step ends exactly once.
    @Test("Two interrupts at once write each message once (I1, I2)")
    func twoInterruptsAtOnce() async throws {
        let session = try await SessionInRedis(.shared())
        let one = Turns(session, model: PlayedModel.endless)
        let two = Turns(try await session.elsewhere(), model: PlayedModel.endless)
        let first = try await one.say("first")
        try await eventually("it is in the log") { try await !session.tokens(step: 1).isEmpty }
        async let a = one.say("a", ["on_conflict": "interrupt"])
        async let b = two.say("b", ["on_conflict": "interrupt"])
        let streams = try await [first, a, b]
        // The second message has interrupted the first one's step.
        try await eventually("one is left") { try streams.count { try $0.soFar().done.isNull } == 1 }
        _ = try await one.service.cancel(session.id, step: nil, as: .tenant)
        for stream in streams { #expect(try await stream.all().done["status"] == "cancelled") }
        let history = try one.history()
        #expect(Conversation.violation(history) == nil)
        #expect(Set(history.filter { $0["role"] == "user" }.compactMap { $0["content"].string }) == ["first", "a", "b"])
        #expect(history.count { $0["role"] == "user" } == 3)
    }

    /// The owner is lost, so that the step would never end without a takeover.
    @Test("A waiting message has a lost step taken over")
    func whoWaitsTakesOver() async throws {
        let lost = try await SessionInRedis(.shared())
        _ = try await lost.begin("lost")
        try lost.expire()
        let turns = Turns(try await lost.elsewhere(), model: PlayedModel.saying("x"))
        #expect(try await turns.say("next", ["on_conflict": "wait"]).all().content == "x")
        #expect(try turns.history().compactMap { $0["content"].string } == ["lost", "x", "next", "x"])
    }
}

extension SessionInRedis {
    /// Returns the number of times that clients have read a session's fields.
    fileprivate func looks() throws -> Int {
        try redis.cli("INFO", "commandstats").firstMatch(of: /cmdstat_hmget:calls=([0-9]+)/).flatMap { Int($0.output.1) } ?? 0
    }
}
