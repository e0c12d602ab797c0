import NIOCore
import SessionStore
import TestSupport
import Testing

@testable import AgentService
@testable import agent_server

/// Clients that join and resume a session's stream, with a real Redis.
@Suite(.timeLimit(.minutes(2))) struct LogFollowerTests {
    /// Follows from the place that `GET …/stream` would.
    func follow(_ turns: Turns, after id: String? = nil) async throws -> Listener? {
        let id = id.flatMap { EventID($0) }
        guard case .position(let position) = try await turns.service.resumePoint(turns.session.id, after: id) else { return nil }
        let listener = Listener()
        try turns.service.follow(turns.session.id, from: position, stream: listener.stream)
        return listener
    }

    /// I5: at every event of a step, while it runs and after.
    @Test(arguments: [true, false]) func resumesBehindEveryEvent(whileItRuns: Bool) async throws {
        let gate = Gate()
        if !whileItRuns { gate.open() }
        let turns = Turns(try await SessionInRedis(.shared())) { _, sink in
            for index in 0..<10 { try await sink([.textDelta("a\(index) "), .textDelta("b\(index) ")]) }
            await gate.pass()
            for index in 10..<20 { try await sink([.textDelta("c\(index) ")]) }
            try await sink([.finish(.stop)])
        }
        let owner = try await turns.say("hello")
        if whileItRuns { try await eventually("half is told") { try owner.soFar().count == 20 } } else { _ = try await owner.all() }
        let told = try owner.soFar()
        var followers: [(at: Int, listener: Listener)] = []
        for (index, event) in told.enumerated() where event.name != "done" {
            followers.append((index, try #require(try await follow(turns, after: event.id))))
        }
        followers.append((-1, try #require(try await follow(turns))))
        gate.open()
        let whole = try await owner.all()
        #expect(whole.count == 32 && whole.content == whole.tokens)
        for (index, listener) in followers { #expect(try await listener.all() == Array(whole.dropFirst(index + 1)), "after \(index)") }
        // Who has `done` has everything.
        #expect(try await follow(turns, after: whole.last?.id) == nil)
    }

    /// Who has the end of a step is told the next one, whether it runs or has ended.
    @Test func theEndOfAStepLeadsToTheNextOne() async throws {
        let turns = Turns(try await SessionInRedis(.shared()), model: PlayedModel.saying("one"))
        let first = try await turns.say("a").all()
        let second = try await turns.say("b").all()
        #expect(try await follow(turns, after: first.last?.id)?.all() == second)
        let gate = Gate()
        turns.model.play { request, sink in
            try await sink([.textDelta("three")])
            await gate.pass()
            try await PlayedModel.saying("!")(request, sink)
        }
        let running = try await turns.say("c")
        let viewer = try #require(try await follow(turns, after: second.last?.id))
        let latest = try #require(try await follow(turns))
        try await eventually("both see the token") { try viewer.tokens() == "three" && latest.tokens() == "three" }
        gate.open()
        let third = try await running.all()
        #expect(try await viewer.all() == third)
        #expect(try await latest.all() == third)
    }

    /// I5: a number that was given out twice, an id of a session that was deleted and begun anew, and one that is older than the log.
    @Test func anIDThatIsNotTheLogsGetsARestartAndTheWholeStep() async throws {
        let turns = Turns(try await SessionInRedis(.shared()), model: PlayedModel.saying("one ", "two"))
        let told = try await turns.say("hello").all()

        let all = try await #require(try await follow(turns, after: "1-1.zzzz")).all()
        #expect(all[0].name == "restart" && all[0].id == nil)
        #expect(all[0].data == ["type": "restart", "step": 1, "replaces": 1, "reason": "unknown_event_id"])
        #expect(Array(all.dropFirst()) == told)

        let ahead = try await #require(try await follow(turns, after: "9-4.zzzz")).all()
        #expect(ahead[0].data == ["type": "restart", "step": 1, "replaces": 9, "reason": "unknown_event_id"])
        #expect(Array(ahead.dropFirst()) == told)

        for _ in 0..<4 { _ = try await turns.say("more").all() }
        #expect(try await turns.session.entries(step: 1).isEmpty)
        let old = try await #require(try await follow(turns, after: told[0].id)).all()
        #expect(old.map(\.name) == ["restart", "message", "done"])
        #expect(old[0].data == ["type": "restart", "step": 1, "replaces": 1, "reason": "unknown_event_id"])
        #expect(old.dropLast().allSatisfy { $0.id == nil })
        #expect(old.dropFirst().map(\.data) == told.suffix(2).map(\.data))
    }

    /// I5: an `EventSource` asks again with the last id that it was given, until there is nothing left. It is told each step that the log still has, once.
    @Test(arguments: [0, 4]) func aViewerThatComesAgainAndAgainComesToTheEnd(laterSteps: Int) async throws {
        let turns = Turns(try await SessionInRedis(.shared()), model: PlayedModel.saying("one ", "two"))
        var last = try await turns.say("hello").all()[0].id
        for _ in 0..<laterSteps { _ = try await turns.say("more").all() }
        if laterSteps == 0 { try turns.session.redis.cli("DEL", turns.session.keys.events) }
        var ended: [Int?] = []
        while let told = try await follow(turns, after: last)?.all() {
            #expect(ended.count <= laterSteps, "it is told the same for ever")
            guard ended.count <= laterSteps else { break }
            #expect(told.done["status"] == "completed")
            ended.append(told.done["step"].int)
            last = told.last { $0.id != nil }?.id ?? last
        }
        #expect(ended == (laterSteps == 0 ? [1] : [1, 3, 4, 5]))
    }

    /// The same where not even the journal knows the step.
    @Test func whoIsToldThatAStepIsGoneGoesOnAfterIt() async throws {
        let turns = Turns(try await SessionInRedis(.shared()), model: PlayedModel.saying("one ", "two"))
        let told = try await turns.say("hello").all()
        try turns.session.redis.cli("DEL", turns.session.keys.events, turns.session.keys.steps)
        let gone = try await #require(try await follow(turns, after: told[0].id)).all()
        #expect(gone.error["code"] == "events_gone")
        #expect(try await follow(turns, after: gone.last?.id) == nil)
    }

    /// Who sent the message is answered for that one alone.
    @Test func aRequestThatIsSentAgainIsGivenNoIDOfAnotherStep() async throws {
        let turns = Turns(try await SessionInRedis(.shared()), model: PlayedModel.saying("one ", "two"))
        _ = try await turns.say("hello", key: "k").all()
        for _ in 0..<4 { _ = try await turns.say("more").all() }
        let again = try await turns.say("hello", key: "k").all()
        #expect(again.done["step"] == 1 && again.allSatisfy { $0.id == nil })
    }

    @Test func withoutAnyEventsTheEndIsToldFromTheHistory() async throws {
        let turns = Turns(try await SessionInRedis(.shared()), model: PlayedModel.saying("one ", "two"))
        let told = try await turns.say("hello").all()
        try turns.session.redis.cli("DEL", turns.session.keys.events)
        let rebuilt = try await #require(try await follow(turns)).all()
        #expect(rebuilt.map(\.data) == told.suffix(2).map(\.data))
        // Not even the journal knows it.
        try turns.session.redis.cli("DEL", turns.session.keys.steps)
        let gone = try await #require(try await follow(turns)).all()
        #expect(gone.map(\.name) == ["error", "done"])
        #expect(gone.error["code"] == "events_gone" && gone.done["status"] == "failed")
    }

    /// I5: a failover of Redis takes back the end of the log, and the step's number is given out again while somebody follows.
    @Test func aNumberThatIsGivenOutAgainVoidsWhatWasTold() async throws {
        let session = try await SessionInRedis(.shared(), lease: .seconds(60))
        let turns = Turns(session, { $0.followTick = .seconds(3600) }, model: PlayedModel.saying("x"))
        _ = try await session.begin()
        let (redis, keys) = (session.redis, session.keys)
        try redis.cli("XADD", keys.events, "1-2", "token", "a", "token", "b")
        let viewer = try #require(try await follow(turns))
        try await eventually("it sees the tokens") { try viewer.tokens() == "ab" }
        try await eventually("it listens") { try redis.lines("PUBSUB", "NUMSUB", keys.wake).last == "1" }
        try redis.cli("DEL", keys.events)
        try redis.cli("HSET", keys.state, "nonce", "zzzz")
        try redis.cli("XADD", keys.events, "1-0", "nonce", "zzzz")
        try redis.cli("XADD", keys.events, "1-4", "token", "c", "token", "d", "token", "e", "done", SessionInRedis.done)
        try redis.cli("PUBLISH", keys.wake, "1")
        let told = try await viewer.all().dropFirst(2)
        #expect(told.first?.data == ["type": "restart", "step": 1, "replaces": 1, "reason": "unknown_event_id"])
        #expect(told.dropFirst().map(\.id) == (1...4).map { "1-\($0).zzzz" })
        #expect(told.compactMap(\.data["token"].string).joined() == "cde")
    }

    /// The same for whoever is answered for one message: what has its number now answers another one.
    @Test func whoseStepIsAnotherOnesNowIsNotToldThatOne() async throws {
        let session = try await SessionInRedis(.shared(), lease: .seconds(60))
        let lease = try await session.begin()
        let (redis, keys) = (session.redis, session.keys)
        for position in [LogPosition.beginning(of: lease.step), .end(of: lease.step, nonce: lease.token.nonce)] {
            try redis.cli("HSET", keys.state, "nonce", lease.token.nonce)
            try redis.cli("DEL", keys.events)
            try redis.cli("XADD", keys.events, "1-0", "nonce", lease.token.nonce)
            try redis.cli("XADD", keys.events, "1-1", "token", "a")
            let listener = Listener()
            let follower = LogFollower(
                store: session.store, session: session.id, stopSignal: StopSignal(), stream: listener.stream, position: position,
                followsSession: false, tick: .seconds(3600))
            let following = Task {
                await follower.run()
                listener.stream.finish()
            }
            try await eventually("it listens") { try redis.lines("PUBSUB", "NUMSUB", keys.wake).last == "1" }
            try redis.cli("DEL", keys.events)
            try redis.cli("HSET", keys.state, "nonce", "zzzz")
            try redis.cli("XADD", keys.events, "1-0", "nonce", "zzzz")
            try redis.cli("XADD", keys.events, "1-2", "token", "another's", "done", SessionInRedis.done)
            try redis.cli("PUBLISH", keys.wake, "1")
            try await following.value("the follower ends")
            let told = try await listener.all()
            #expect(told.error["code"] == "session_deleted" && told.done["status"] == "failed")
            #expect(!listener.text.contains("another's"))
        }
    }

    /// What a failover of Redis took out of a running step's log: the viewer comes again, until the step has an end and is told from the history.
    @Test func aHoleInTheLogOfARunningStepIsNotItsEnd() async throws {
        let session = try await SessionInRedis(.shared(), lease: .seconds(60))
        _ = try await session.begin()
        let turns = Turns(session, model: PlayedModel.saying("x"))
        try session.redis.cli("XADD", session.keys.events, "1-1", "token", "a")
        try session.redis.cli("XADD", session.keys.events, "1-5", "token", "e")
        let viewer = try #require(try await follow(turns))
        let told = try await viewer.all()
        #expect(told.compactMap(\.data["token"].string) == ["a"] && !told.contains { $0.name == "done" })
        #expect(viewer.text.hasSuffix("retry: 1000\n\n"))
    }

    /// What it has not read yet comes before the word that it goes on elsewhere.
    @Test func aViewerThatIsBehindIsSentElsewhere() async throws {
        let session = try await SessionInRedis(.shared(), lease: .seconds(60))
        let lease = try await session.begin()
        let token = String(repeating: "a", count: 200)
        try session.redis.cli("XADD", session.keys.events, "1-1", "token", token)
        // More than half of what it may be behind.
        let (stopSignal, stream) = (StopSignal(), ClientStream(encoder: NativeEncoder(), limit: 400))
        let follower = LogFollower(
            store: session.store, session: session.id, stopSignal: stopSignal, stream: stream, position: .beginning(of: lease.step),
            followsSession: true, tick: .milliseconds(10))
        let following = Task { await follower.run() }
        try await eventually("it is behind") { stream.isBehind }
        stopSignal.stop(.draining)
        try await following.value("the follower ends")
        #expect(stream.isOpen)
        stream.finish()
        var text = ""
        while let bytes = await stream.next() { text += String(buffer: bytes) }
        #expect(text.contains(token) && text.hasSuffix("retry: 100\n\n"))
    }

    /// I5: events between were cut out of the log by hand.
    @Test func aHoleInTheLogIsToldAndFilledFromTheHistory() async throws {
        let turns = Turns(try await SessionInRedis(.shared()), model: PlayedModel.saying("one ", "two"))
        let told = try await turns.say("hello").all()
        let events = turns.session.keys.events
        try turns.session.redis.cli("DEL", events)
        try turns.session.redis.cli("XADD", events, "1-0", "nonce", try turns.session.state("nonce"))
        try turns.session.redis.cli("XADD", events, "1-4", "done", SessionInRedis.done)
        let rest = try await #require(try await follow(turns, after: told[0].id)).all()
        #expect(rest[0].data == ["type": "restart", "step": 1, "replaces": 1, "reason": "events_gone"])
        #expect(rest.dropFirst().map(\.data) == told.suffix(2).map(\.data))
    }

    @Test func aSessionWithoutStepsHasNothingToTell() async throws {
        let turns = Turns(try await SessionInRedis(.shared()), model: PlayedModel.saying("x"))
        guard case .noSession = try await turns.service.resumePoint(turns.session.id, after: nil) else {
            Issue.record("there is a session")
            return
        }
        try turns.session.redis.cli("RPUSH", turns.session.keys.history, #"{"role":"user","content":"x"}"#)
        #expect(try await follow(turns) == nil)
    }

    @Test func aViewerOfADeletedSessionIsToldSo() async throws {
        let turns = Turns(try await SessionInRedis(.shared()), model: PlayedModel.endless)
        let owner = try await turns.say("hello")
        let viewer = try #require(try await follow(turns))
        try await eventually("it sees something") { try !viewer.tokens().isEmpty }
        #expect(try await turns.session.store.delete(turns.session.id))
        for listener in [owner, viewer] {
            let told = try await listener.all()
            #expect(told.error["code"] == "session_deleted" && told.error["retryable"] == false)
            #expect(told.done["status"] == "failed")
        }
    }

    /// I5: a step that is taken over is the same stream, through to the final `done`, wherever a viewer stands.
    @Test func aViewerGoesOnThroughATakeover() async throws {
        let session = try await SessionInRedis(.shared(), lease: .seconds(60))
        let turns = Turns(session, model: PlayedModel.endless)
        let owner = try await turns.say("hello", key: "k")
        let viewer = try #require(try await follow(turns))
        try await eventually("both have heard") { try !owner.tokens().isEmpty && !viewer.tokens().isEmpty }
        let other = try await session.seize(1)
        let late = try #require(try await follow(turns, after: try owner.soFar().first?.id))
        try await session.commit(other, saying: "from elsewhere")
        for listener in [owner, viewer, late] {
            let told = try await listener.all()
            let restart = try #require(told.firstIndex { $0.name == "restart" })
            #expect(told[restart].data["replaces"] == 1 && told[restart].id?.hasPrefix("2-0.") == true)
            #expect(told[restart...].map(\.name) == ["restart", "message", "done"])
            #expect(told.content == "from elsewhere")
        }
        // Sent again, with an id of the step that took the place, the request goes on there (I2).
        let whole = try await owner.all()
        let id = try #require(whole.first { $0.name == "restart" }?.id)
        #expect(try await turns.say("hello", key: "k", lastEventID: id).all() == Array(whole.suffix(2)))
        #expect(try turns.history().count == 3)
    }

    // MARK: POST

    @Test func aRequestSentAgainGoesOnBehindItsID() async throws {
        let turns = Turns(try await SessionInRedis(.shared()), model: PlayedModel.saying("one ", "two ", "three"))
        let told = try await turns.say("hello", key: "k").all()
        for (index, event) in told.enumerated() {
            let rest = try await turns.say("hello", key: "k", lastEventID: event.id).all()
            // A request is always answered with `done`.
            #expect(rest == (event.name == "done" ? [event] : Array(told.dropFirst(index + 1))))
        }
        // An id of another step, or of none.
        let foreign = try await turns.say("hello", key: "k", lastEventID: "4-1.zzzz").all()
        #expect(foreign.first?.data == ["type": "restart", "step": 1, "replaces": 4, "reason": "unknown_event_id"])
        #expect(Array(foreign.dropFirst()) == told)
        // One that was never accepted begins now, and says that it begins.
        let new = try await turns.say("hello", key: "other", lastEventID: told[0].id).all()
        #expect(new.first?.data == ["type": "restart", "step": 2, "replaces": 1, "reason": "unknown_event_id"])
        #expect(new.content == "one two three")
        #expect(try turns.history().count == 5)
    }

    // MARK: Bounds

    /// A step that nobody takes over may yet be: its viewer is asked to come again, not told that it has failed.
    @Test func aViewerOfAStepWithoutAReplicaIsAskedToComeAgain() async throws {
        let session = try await SessionInRedis(.shared(), lease: .milliseconds(100))
        _ = try await session.begin()
        let turns = Turns(session, model: PlayedModel.saying("x"))
        let viewer = try #require(try await follow(turns))
        #expect(try await viewer.all().isEmpty)
        #expect(viewer.text.hasSuffix("\nretry: 1000\n\n"))
    }

    /// Redis is away for longer than a lease: so it is for the step's replica, which may yet store the end.
    @Test func aViewerWhoseLogCannotBeReadIsAskedToComeAgain() async throws {
        let redis = try await RedisServer.start()
        let session = try await SessionInRedis(redis, lease: .milliseconds(100)) { $0.commitPatience = .milliseconds(300) }
        _ = try await session.begin()
        let turns = Turns(session) {
            $0.followTick = .milliseconds(10)
        } model: { _, _ in
        }
        let viewer = try #require(try await follow(turns))
        try await redis.kill()
        #expect(try await viewer.all().isEmpty)
        #expect(viewer.text.hasSuffix("\nretry: 1000\n\n"))
    }

    /// A replica that stops sends its viewers elsewhere at once, whatever the tick.
    @Test func aViewerOfAReplicaThatStopsIsSentElsewhere() async throws {
        let session = try await SessionInRedis(.shared(), lease: .seconds(60))
        let lease = try await session.begin()
        let (stopSignal, listener) = (StopSignal(), Listener())
        let follower = LogFollower(
            store: session.store, session: session.id, stopSignal: stopSignal, stream: listener.stream,
            position: .beginning(of: lease.step),
            followsSession: true, tick: .seconds(3600))
        let following = Task {
            await follower.run()
            listener.stream.finish()
        }
        try await eventually("it listens") { try session.redis.lines("PUBSUB", "NUMSUB", session.keys.wake).last == "1" }
        stopSignal.stop(.draining)
        try await following.value("the follower ends")
        #expect(try await listener.all().isEmpty)
        #expect(listener.text.hasSuffix("retry: 100\n\n"))
    }

    /// Nobody follows for a client that has left.
    @Test func aViewerThatLeavesIsLetGo() async throws {
        let turns = Turns(try await SessionInRedis(.shared(), lease: .seconds(60))) {
            $0.followTick = .seconds(3600)
        } model: { _, sink in
            try await sink([.textDelta("x")])
            try await Task.sleep(for: .seconds(3600))
        }
        _ = try await turns.say("hello")
        let viewer = try #require(try await follow(turns))
        try await eventually("it sees the token") { try viewer.tokens() == "x" }
        try await eventually("it listens") { try turns.session.redis.lines("PUBSUB", "NUMSUB", turns.session.keys.wake).last == "1" }
        viewer.stream.close()
        try await eventually("only the step runs") { turns.scheduler.runningSteps == 1 }
        try await eventually("nobody listens") { try turns.session.redis.lines("PUBSUB", "NUMSUB", turns.session.keys.wake).last == "0" }
        #expect(try await turns.session.store.delete(turns.session.id))
    }
}
