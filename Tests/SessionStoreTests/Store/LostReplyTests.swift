import NIOCore
import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// The connection breaks after Redis has executed a command, or before Redis has received it. The
/// store repeats the call with the same token, and learns the outcome of the first call.
@Suite("Lost requests and replies", .tags(.redis), .serialized)
struct LostReplyTests {
    // MARK: Begin

    /// This holds even if several requests and replies are lost (I2).
    @Test(
        "A begin is written once",
        arguments: [[ReplyEater.Loss.reply], [.request], [.request, .reply, .reply], [.reply, .request, .reply]]
    )
    func aBeginIsWrittenOnce(losses: [ReplyEater.Loss]) async throws {
        let lossy = try await LossyStore()
        for loss in losses { lossy.lose(loss, of: StoreScripts.beginStep) }
        let lease = try await lossy.started()
        #expect(lease.step == 1)
        #expect(lossy.eater.lost == losses.count)
        let dump = try await lossy.it.dump()
        #expect(dump.history == [BeginStepTests.hello])
        #expect(dump.events.map(\.id) == ["1-0"])
        #expect(dump.state["token"] == lease.token.text)
        try await lossy.close()
    }

    @Test("A tool result is written once", arguments: [ReplyEater.Loss.reply, .request])
    func aToolResultIsWrittenOnce(loss: ReplyEater.Loss) async throws {
        let lossy = try await LossyStore()
        _ = try await lossy.store.commit(StepCommit(try await lossy.started(), calls: ["a", "b"]))
        lossy.lose(loss, of: StoreScripts.beginStep)
        let waiting = try await lossy.store.begin(.result(of: "a", in: lossy.it.session))
        guard case .waiting(1, 3, ["b"]) = waiting else {
            Issue.record("\(waiting)")
            return
        }
        lossy.lose(loss, of: StoreScripts.beginStep)
        #expect(try await lossy.started(.result(of: "b", in: lossy.it.session)).step == 2)
        let history = try await lossy.it.dump().history.map { try JSON($0) }
        #expect(history.map { $0["role"].string } == ["user", "assistant", "tool", "tool"])
        #expect(lossy.eater.lost == 2)
        try await lossy.close()
    }

    /// Redis may execute the lost request later, and the repeated request then gets its result.
    @Test("A refusal after a loss does not prove that nothing was written (I2)", arguments: [ReplyEater.Loss.reply, .request])
    func aRefusalAfterALossProvesNothing(loss: ReplyEater.Loss) async throws {
        let lossy = try await LossyStore()
        lossy.lose(loss, of: StoreScripts.beginStep)
        let error = await #expect(throws: StoreError.self) {
            _ = try await lossy.store.begin(.result(of: "a", in: lossy.it.session))
        }
        #expect(error?.code == .outcomeUnknown)
        #expect(lossy.eater.lost == 1)
        guard case .refused(.unknownCall, _) = try await lossy.store.begin(.result(of: "a", in: lossy.it.session)) else {
            Issue.record("not refused")
            return
        }
        #expect(try await lossy.it.dump().isEmpty)
        try await lossy.close()
    }

    /// Another replica has run and ended the step. It is still the step of this request.
    @Test("A begin whose step has ended meanwhile is replayed")
    func aBeginWhoseStepEndedMeanwhileIsReplayed() async throws {
        let lossy = try await LossyStore { $0.retryPatience = .seconds(20) }
        lossy.lose(.reply, of: StoreScripts.beginStep, goesAway: true)
        let token = LeaseToken()
        async let outcome = lossy.store.begin(lossy.user(token: token))
        try await eventually("the reply is lost") { lossy.eater.lost == 1 }
        #expect(try await lossy.it.takeOver { ($0.token, $0.force) = ("other", true) }.name == "taken")
        #expect(try await lossy.it.commit("other", 2).name == "committed")
        lossy.eater.comeBack()
        guard case .replay(1) = try await outcome else {
            Issue.record("not replayed")
            return
        }
        #expect(try await lossy.it.dump().history.count == 2)
        try await lossy.close()
    }

    /// The hint's time has passed when Redis returns. The store moves the hint, and then takes the
    /// lease.
    @Test("A begin that outlasts its hint is sent with a later hint")
    func aBeginThatTookLongerThanItsHintIsSentWithALaterOne() async throws {
        let lossy = try await LossyStore(lease: .milliseconds(250)) { ($0.retryPatience, $0.hintMargin) = (.seconds(20), .milliseconds(1)) }
        lossy.lose(.request, of: StoreScripts.beginStep, goesAway: true)
        async let lease = lossy.started()
        try await eventually("the request is lost") { lossy.eater.lost == 1 }
        let lost = try await lossy.it.begin { $0.hint = 1 }.now
        try await eventually("the hint has passed") { try await lossy.it.begin { $0.hint = 1 }.now > lost + 300 }
        lossy.eater.comeBack()
        #expect(try await lease.step == 1)
        let due = try #require(try await lossy.it.command("ZSCORE", lossy.it.keys.running, lossy.it.session.text).integerValue)
        let until = try #require(try await lossy.it.dump().state["lease_until"].flatMap { Int64($0) })
        #expect(due > lost + 300 && until > lost + 300)
        try await lossy.close()
    }

    /// When the store asks for the time, it has not sent the message yet.
    @Test("A lost TIME reply is asked for again")
    func aLostTimeIsAskedForAgain() async throws {
        let lossy = try await LossyStore()
        lossy.eater.lose(.reply, of: "TIME")
        #expect(try await lossy.started().step == 1)
        #expect(lossy.eater.lost == 1)
        try await lossy.close()
    }

    // MARK: Append

    @Test("A repeated append is written once", arguments: [ReplyEater.Loss.reply, .request])
    func anAppendSentAgainIsWrittenOnce(loss: ReplyEater.Loss) async throws {
        let lossy = try await LossyStore()
        let lease = try await lossy.started()
        lossy.lose(loss, of: StoreScripts.appendEvents)
        let events = LoggedEvents.tokens("a", "b")
        #expect(await lossy.store.append(events, lease: lease).failure?.code == .outcomeUnknown)
        var again = await lossy.store.append(events, lease: lease)
        try await eventually("the connection is there again") {
            if again.value == nil { again = await lossy.store.append(events, lease: lease) }
            return again.value != nil
        }
        #expect(again.value == .held)
        #expect(try await lossy.it.dump().events.map(\.id) == ["1-0", "1-2"])
        try await lossy.close()
    }

    // MARK: Take over

    @Test("A step is taken over once", arguments: [ReplyEater.Loss.reply, .request])
    func aStepIsTakenOverOnce(loss: ReplyEater.Loss) async throws {
        let lossy = try await LossyStore()
        let former = try await lossy.it.redis.store(replica: "former").started(lossy.user())
        lossy.lose(loss, of: StoreScripts.takeOver)
        let outcome = try await lossy.store.takeOver(TakeOver(session: lossy.it.session, step: former.step, reason: .cancel))
        guard case .taken(let taken) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(lossy.eater.lost == 1)
        #expect(taken.started.lease.step == 2 && taken.replaces == 1 && taken.previousOwner == "former" && taken.action == .cancel)
        #expect(try await lossy.it.dump().state["fence"] == "2")
        #expect(try await lossy.store.commit(StepCommit(taken.started.lease)) == .held)
        try await lossy.close()
    }

    // MARK: Commit

    @Test("A commit is written once", arguments: [[ReplyEater.Loss.reply], [.request], [.reply, .reply, .request]])
    func aCommitIsWrittenOnce(losses: [ReplyEater.Loss]) async throws {
        let lossy = try await LossyStore()
        let lease = try await lossy.started()
        for loss in losses { lossy.lose(loss, of: StoreScripts.commitStep) }
        #expect(try await lossy.store.commit(StepCommit(lease, calls: ["a"], events: .tokens("x"))) == .held)
        #expect(lossy.eater.lost == losses.count)
        let dump = try await lossy.it.dump()
        #expect(dump.history.count == 2 && dump.steps.count == 1 && dump.events.map(\.id) == ["1-0", "1-1"])
        #expect(dump.state["prompt_tokens"] == "3" && dump.state["completion_tokens"] == "4")
        try await lossy.close()
    }

    /// Other replicas have run further steps since.
    @Test("A repeated commit is confirmed even after other steps")
    func aCommitThatWasMadeIsHeldThoughOtherStepsHaveRun() async throws {
        let lossy = try await LossyStore { $0.commitPatience = .seconds(20) }
        let lease = try await lossy.started()
        lossy.lose(.reply, of: StoreScripts.commitStep, goesAway: true)
        async let answer = lossy.store.commit(StepCommit(lease))
        try await eventually("the reply is lost") { lossy.eater.lost == 1 }
        for step in 2...3 {
            #expect(try await lossy.it.begin { $0.token = "other-\(step)" }.step == step)
            if step == 2 { #expect(try await lossy.it.commit("other-2", 2).name == "committed") }
        }
        let before = try await lossy.it.dump()
        lossy.eater.comeBack()
        #expect(try await answer == .held)
        #expect(try await lossy.it.dump() == before)
        try await lossy.close()
    }

    @Test("A commit that never arrived is lost when the step was taken (I3)")
    func aCommitThatNeverArrivedIsLostWhenTheStepWasTaken() async throws {
        let lossy = try await LossyStore { $0.commitPatience = .seconds(20) }
        let lease = try await lossy.started()
        lossy.lose(.request, of: StoreScripts.commitStep, goesAway: true)
        async let answer = lossy.store.commit(StepCommit(lease))
        try await eventually("the request is lost") { lossy.eater.lost == 1 }
        #expect(try await lossy.it.takeOver { ($0.force, $0.intent) = (true, "cancel") }.name == "taken")
        let before = try await lossy.it.dump()
        lossy.eater.comeBack()
        #expect(try await answer == .lost(step: 2, intent: "cancel"))
        #expect(try await lossy.it.dump() == before)
        try await lossy.close()
    }

    // MARK: Release and delete

    @Test("A release is made once", arguments: [ReplyEater.Loss.reply, .request])
    func aReleaseIsMadeOnce(loss: ReplyEater.Loss) async throws {
        let lossy = try await LossyStore()
        let lease = try await lossy.started()
        lossy.lose(loss, of: StoreScripts.releaseStep)
        #expect(try await lossy.store.release(lease) == .held)
        #expect(lossy.eater.lost == 1)
        let state = try await lossy.it.dump().state
        #expect(state["attempt"] == "0" && state["lease_until"] == "0")
        try await lossy.close()
    }

    @Test("A repeated release of a step that was taken is lost")
    func aReleasedStepThatWasTakenMeanwhileIsLost() async throws {
        let lossy = try await LossyStore()
        let lease = try await lossy.started()
        lossy.lose(.reply, of: StoreScripts.releaseStep, goesAway: true)
        async let answer = lossy.store.release(lease)
        try await eventually("the reply is lost") { lossy.eater.lost == 1 }
        #expect(try await lossy.it.takeOver().name == "taken")
        lossy.eater.comeBack()
        #expect(try await answer == .lost(step: 2, intent: ""))
        #expect(try await lossy.it.dump().state["attempt"] == "1")
        try await lossy.close()
    }

    @Test("A repeated deletion reports the deletion", arguments: [ReplyEater.Loss.reply, .request])
    func aDeletedSessionIsSaidToBeDeleted(loss: ReplyEater.Loss) async throws {
        let lossy = try await LossyStore()
        _ = try await lossy.started()
        lossy.lose(loss, of: StoreScripts.deleteSession)
        #expect(try await lossy.store.delete(lossy.it.session))
        #expect(lossy.eater.lost == 1)
        #expect(try await lossy.it.dump().isEmpty)
        #expect(try await lossy.it.command("ZSCORE", lossy.it.keys.index, lossy.it.session.text).isNull)
        #expect(try await !lossy.store.delete(lossy.it.session))
        try await lossy.close()
    }

    // MARK: Reads

    @Test("Reads are sent again", arguments: [ReplyEater.Loss.reply, .request])
    func readsAreSentAgain(loss: ReplyEater.Loss) async throws {
        let lossy = try await LossyStore()
        _ = try await lossy.started()
        lossy.eater.lose(loss, of: "EXEC")
        #expect(try await lossy.store.state(lossy.it.session)?.step == 1)
        lossy.eater.lose(loss, of: "LRANGE")
        #expect(try await lossy.store.history(lossy.it.session, offset: 0, limit: 9)?.length == 1)
        lossy.eater.lose(loss, of: "XRANGE")
        #expect(try await lossy.store.log(lossy.it.session, afterStep: 0, sequence: 0, limit: 9).entries.count == 1)
        lossy.eater.lose(loss, of: "ZREVRANGEBYSCORE")
        _ = try await lossy.store.list(after: nil, limit: 5)
        #expect(lossy.eater.lost == 4)
        try await lossy.close()
    }
}
