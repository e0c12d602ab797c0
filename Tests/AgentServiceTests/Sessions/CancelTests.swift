import SessionStore
import TestSupport
import Testing

@testable import AgentService
@testable import LanguageModels

/// A replica ends a step before its model does. The replica may be the owner or not.
@Suite("Cancelling steps", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct CancelTests {
    /// The text so far stays in the history, and every listener gets the end.
    @Test("A cancel ends a running step and stores its text", arguments: [true, false])
    func aRunningStepIsCancelled(byItsOwner: Bool) async throws {
        let session = try await SessionInRedis(.shared())
        let owner = Turns(session, model: PlayedModel.endless)
        let listener = try await owner.say("hello", ["metadata": ["a": 1]])
        try await eventually("it is in the log") { try await !session.tokens(step: 1).isEmpty }
        let other = byItsOwner ? owner : Turns(try await session.elsewhere(), model: PlayedModel.saying("never"))
        #expect(try await other.service.cancel(session.id, step: nil, as: .tenant) == 1)
        // By now Redis has stored the end.
        #expect(try session.state("status") == "idle" && session.state("intent") == "")
        let text = try await session.tokens(step: 1).joined()
        #expect(!text.isEmpty)
        #expect(
            try owner.history() == [
                ["role": "system", "content": "be brief"], ["role": "user", "content": "hello"],
                ["role": "assistant", "content": .string(text)],
            ])
        let told = try await listener.all()
        #expect(told.suffix(2).map(\.id).map { $0?.prefix(3) } == ["2-1", "2-2"])
        #expect(told.content == text)
        #expect(told.done["status"] == "cancelled" && told.done["step"] == 2 && told.done["history_length"] == 3)
        #expect(told.done["metadata"] == ["a": 1])
        #expect(told.error.isNull && !told.contains { $0.name == "restart" })
        let journal = try JSON(try session.redis.cli("LINDEX", session.keys.steps, "-1"))
        #expect(journal["status"] == "cancelled")
        // The session can go on.
        owner.model.play(PlayedModel.saying("fine"))
        #expect(try await owner.say("again").all().content == "fine")
        #expect(Conversation.violation(try owner.history()) == nil)
    }

    @Test("A cancel before any text stores nothing")
    func withoutTextNothingIsStored() async throws {
        let session = try await SessionInRedis(.shared())
        _ = try await session.begin()
        let turns = Turns(try await session.elsewhere(), model: PlayedModel.saying("never"))
        #expect(try await turns.service.cancel(session.id, step: 1, as: .tenant) == 1)
        #expect(try turns.history().map { $0["role"] } == ["user"])
        #expect(try await session.entries(step: 2).flatMap(\.fields).map(\.name) == ["done"])
    }

    /// The step's owner is lost.
    @Test("A cancel ends the step of a lost replica from its log")
    func theStepOfALostReplicaIsCancelled() async throws {
        let session = try await SessionInRedis(.shared())
        let lease = try await session.begin()
        try await session.log(lease, tokens: "half an ", "ans\u{2028}wer")
        try session.expire()
        let turns = Turns(try await session.elsewhere(), model: PlayedModel.saying("never"))
        _ = try await turns.service.cancel(session.id, step: nil, as: .tenant)
        #expect(try turns.history().last == ["role": "assistant", "content": "half an ans\u{2028}wer"])
        #expect(turns.model.requests.isEmpty)
    }

    /// A long text occupies many entries.
    @Test("A cancel reads a long log to its end")
    func aLongLogIsReadToItsEnd() async throws {
        let session = try await SessionInRedis(.shared())
        let lease = try await session.begin()
        for place in 1...700 {
            try session.redis.cli("XADD", session.keys.events, "1-\(place)", "token", "\(place) ")
        }
        #expect(lease.step == 1)
        let turns = Turns(try await session.elsewhere(), model: PlayedModel.saying("never"))
        _ = try await turns.service.cancel(session.id, step: nil, as: .tenant)
        #expect(try turns.history().last?["content"].string == (1...700).map { "\($0) " }.joined())
    }

    /// The next owner stores the text of the step that the lost replica was cancelling.
    @Test("The next owner finishes the cancel of a lost replica")
    func aCancelIsFinishedByWhoeverComesAfter() async throws {
        let session = try await SessionInRedis(.shared())
        let lease = try await session.begin()
        try await session.log(lease, tokens: "half")
        try await session.seize(1, intent: "cancel")
        try session.expire()
        let turns = Turns(try await session.elsewhere(), model: PlayedModel.saying("never"))
        #expect(try await turns.service.takeOver(session.id, step: 2))
        try await eventually("it has ended") { try session.state("status") == "idle" }
        #expect(try turns.history().last == ["role": "assistant", "content": "half"])
        #expect(turns.model.requests.isEmpty)
        #expect(try await session.entries(step: 3).flatMap(\.fields).map(\.name) == ["message", "done"])
    }

    /// The text survives any number of lost replicas. Each number of the chain still names the
    /// step.
    @Test("A cancel lost three times keeps the text")
    func aCancelThatIsLostThreeTimesKeepsTheText() async throws {
        let session = try await SessionInRedis(.shared())
        try await session.commit(try await session.begin(), saying: "before")
        let lease = try await session.begin("again")
        try await session.log(lease, tokens: "half")
        for step in 2...4 { try await session.seize(step, intent: "cancel") }
        try session.expire()
        let turns = Turns(try await session.elsewhere(), model: PlayedModel.saying("never"))
        await #expect(throws: TurnError.self) { try await turns.service.cancel(session.id, step: 1, as: .tenant) }
        #expect(try await turns.service.cancel(session.id, step: 2, as: .tenant) == 5)
        #expect(try turns.history().last == ["role": "assistant", "content": "half"])
    }

    /// A client names the step number that it knows, after any number of takeovers.
    @Test("A step taken over twice can be cancelled by its first number")
    func aStepThatWasTakenOverTwiceIsCancelledByItsFirstNumber() async throws {
        let session = try await SessionInRedis(.shared())
        _ = try await session.begin()
        for step in 1...2 { try await session.seize(step) }
        let turns = Turns(try await session.elsewhere(), model: PlayedModel.saying("never"))
        #expect(try await turns.service.cancel(session.id, step: 1, as: .tenant) == 3)
        #expect(try session.state("status") == "idle")
    }

    /// If a client cancels a step by a number from before a takeover, the cancel concerns the
    /// replacing step.
    @Test("A late cancel does not hit the next step")
    func onlyTheStepThatIsMeantIsCancelled() async throws {
        let session = try await SessionInRedis(.shared())
        let turns = Turns(try await session.elsewhere(), model: PlayedModel.endless)
        func refusal(_ step: Int?) async -> TurnError? {
            do throws(TurnError) {
                _ = try await turns.service.cancel(session.id, step: step, as: .tenant)
                return nil
            } catch {
                return error
            }
        }
        guard case .noSession? = await refusal(nil), case .noSession? = await refusal(1) else {
            Issue.record("there is no session")
            return
        }
        try await session.commit(try await session.begin(), saying: "one")
        _ = try await session.begin("two")
        guard case .notRunning? = await refusal(1), case .notRunning? = await refusal(3) else {
            Issue.record("another step was cancelled")
            return
        }
        #expect(try session.state("status") == "running" && session.state("fence") == "2")
        try session.expire()
        #expect(try await turns.service.takeOver(session.id, step: 2))
        #expect(try await turns.service.cancel(session.id, step: 2, as: .tenant) == 3)
        #expect(try session.state("status") == "idle")
        guard case .notRunning? = await refusal(nil), case .notRunning? = await refusal(3) else {
            Issue.record("nothing runs")
            return
        }
        // The next step does not replace any step.
        _ = try await session.begin("three")
        guard case .notRunning? = await refusal(2), case .notRunning? = await refusal(3), case .notRunning? = await refusal(4) else {
            Issue.record("another step was cancelled")
            return
        }
    }

    @Test("Many cancels at once end a step once")
    func manyCancelsAtOnceEndItOnce() async throws {
        let session = try await SessionInRedis(.shared())
        let owner = Turns(session, model: PlayedModel.endless)
        let listener = try await owner.say("hello")
        try await eventually("it is in the log") { try await !session.tokens(step: 1).isEmpty }
        var others: [Turns] = []
        for _ in 0..<4 { others.append(Turns(try await session.elsewhere(), model: PlayedModel.saying("never"))) }
        await withTaskGroup(of: Void.self) { group in
            for turns in others {
                group.addTask {
                    do throws(TurnError) { _ = try await turns.service.cancel(session.id, step: nil, as: .tenant) } catch {
                        guard case .notRunning = error else {
                            Issue.record("\(error)")
                            return
                        }
                    }
                }
            }
        }
        let told = try await listener.all()
        #expect(told.done["status"] == "cancelled")
        #expect(told.filter { $0.name == "done" }.count == 1)
        #expect(try owner.history().map { $0["role"] } == ["system", "user", "assistant"])
    }

    @Test("A cancel that races with the end leaves one end (I1, I2)")
    func aCancelRacesWithTheEnd() async throws {
        let session = try await SessionInRedis(.shared())
        let owner = Turns(session, model: PlayedModel.saying("a", "b"))
        let other = Turns(try await session.elsewhere(), model: PlayedModel.saying("never"))
        var ends: Set<JSON> = []
        for round in 1...40 {
            let listener = try await owner.say("\(round)")
            if round % 2 == 0 { try? await Task.sleep(for: .microseconds(100 * round)) }
            do throws(TurnError) { _ = try await other.service.cancel(session.id, step: nil, as: .tenant) } catch {
                guard case .notRunning = error else { throw error }
            }
            let told = try await listener.all()
            ends.insert(told.done["status"])
            #expect(told.filter { $0.name == "done" }.count == 1)
            let history = try owner.history()
            #expect(Conversation.violation(history) == nil)
            #expect(told.done["history_length"].int == history.count)
            #expect(history.filter { $0["content"] == .string("\(round)") }.count == 1)
        }
        #expect(ends.isSubset(of: ["completed", "cancelled"]))
    }

    // MARK: on_disconnect

    @Test("With on_disconnect, a step ends when its client disconnects")
    func aStepCanEndWithItsClient() async throws {
        let session = try await SessionInRedis(.shared())
        let turns = Turns(session, model: PlayedModel.endless)
        let listener = try await turns.say("hello", ["on_disconnect": "cancel"])
        try await eventually("it runs") { try !listener.tokens().isEmpty }
        listener.stream.close()
        try await eventually("it has ended") { try session.state("status") == "idle" }
        let history = try turns.history()
        #expect(history.map { $0["role"] } == ["system", "user", "assistant"])
        let text = try await session.tokens(step: 1).joined()
        #expect(history.last?["content"] == .string(text) && text.hasPrefix("word "))
        #expect(try await session.entries(step: 1).flatMap(\.fields).map(\.name).suffix(2) == ["message", "done"])
        #expect(try JSON(try session.redis.cli("LINDEX", session.keys.steps, "-1"))["status"] == "cancelled")
    }

    /// The client stays connected to the first replica while another replica runs the step.
    @Test("With on_disconnect, a step that changed its owner still ends with its client")
    func aStepThatChangedHandsEndsWithItsClient() async throws {
        let session = try await SessionInRedis(.shared(), lease: .seconds(60))
        let turns = Turns(session, model: PlayedModel.endless)
        let listener = try await turns.say("hello", ["on_disconnect": "cancel"])
        try await eventually("it is in the log") { try await !session.tokens(step: 1).isEmpty }
        let other = try await session.seize(1)
        try await session.log(other, tokens: "from elsewhere")
        try await eventually("the client hears of it") { try listener.soFar().contains { $0.data["token"] == "from elsewhere" } }
        #expect(try session.state("status") == "running")
        listener.stream.close()
        try await eventually("it has ended") { try session.state("status") == "idle" }
        #expect(try turns.history().last == ["role": "assistant", "content": "from elsewhere"])
    }
}
