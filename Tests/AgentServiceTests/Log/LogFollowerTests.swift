import NIOCore
import SessionStore
import TestSupport
import Testing

@testable import AgentService
@testable import LanguageModels
@testable import agent_server

/// Clients join and resume a session's stream on a real Redis.
@Suite("Following and resuming a stream", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct LogFollowerTests {
    /// Follows from the position that `GET …/stream` would use.
    func follow(_ turns: Turns, after id: String? = nil) async throws -> Listener? {
        let id = id.flatMap { EventID($0) }
        guard case .position(let position) = try await turns.service.resumePoint(turns.session.id, after: id, as: .tenant) else {
            return nil
        }
        let listener = Listener()
        try turns.service.follow(turns.session.id, from: position, stream: listener.stream, as: .tenant)
        return listener
    }

    /// The client resumes while the step runs, and after its end.
    @Test("A client resumes after every event of a step (I5)", arguments: [true, false])
    func resumesBehindEveryEvent(whileItRuns: Bool) async throws {
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
        // A client that has received `done` has received every event.
        #expect(try await follow(turns, after: whole.last?.id) == nil)
    }

    /// The next step may run or may have ended.
    @Test("A viewer at the end of a step gets the next step")
    func theEndOfAStepLeadsToTheNextOne() async throws {
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

    /// The id may name a number that was assigned twice, a session that was deleted and begun anew,
    /// or a step that is older than the log.
    @Test("An id that the log does not know gets a restart and the whole step (I5)")
    func anIDThatIsNotTheLogsGetsARestartAndTheWholeStep() async throws {
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

    /// An `EventSource` reconnects with its last id until no events are left. It gets each step of
    /// the log once.
    @Test("A viewer that reconnects with its last id reaches the end and sees each step once (I5)", arguments: [0, 4])
    func aViewerThatComesAgainAndAgainComesToTheEnd(laterSteps: Int) async throws {
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

    /// The journal does not contain the step, either.
    @Test("A viewer of a step that the journal has dropped goes on after it")
    func whoIsToldThatAStepIsGoneGoesOnAfterIt() async throws {
        let turns = Turns(try await SessionInRedis(.shared()), model: PlayedModel.saying("one ", "two"))
        let told = try await turns.say("hello").all()
        try turns.session.redis.cli("DEL", turns.session.keys.events, turns.session.keys.steps)
        let gone = try await #require(try await follow(turns, after: told[0].id)).all()
        #expect(gone.error["code"] == "events_gone")
        #expect(try await follow(turns, after: gone.last?.id) == nil)
    }

    /// A client that sent a message gets only the events of that message.
    @Test("A repeated request gets no event ids of another step")
    func aRequestThatIsSentAgainIsGivenNoIDOfAnotherStep() async throws {
        let turns = Turns(try await SessionInRedis(.shared()), model: PlayedModel.saying("one ", "two"))
        _ = try await turns.say("hello", key: "k").all()
        for _ in 0..<4 { _ = try await turns.say("more").all() }
        let again = try await turns.say("hello", key: "k").all()
        #expect(again.done["step"] == 1 && again.allSatisfy { $0.id == nil })
    }

    @Test("Without events in the log, the end is rebuilt from the history")
    func withoutAnyEventsTheEndIsToldFromTheHistory() async throws {
        let turns = Turns(try await SessionInRedis(.shared()), model: PlayedModel.saying("one ", "two"))
        let told = try await turns.say("hello").all()
        try turns.session.redis.cli("DEL", turns.session.keys.events)
        let rebuilt = try await #require(try await follow(turns)).all()
        #expect(rebuilt.map(\.data) == told.suffix(2).map(\.data))
        // The journal does not contain the step, either.
        try turns.session.redis.cli("DEL", turns.session.keys.steps)
        let gone = try await #require(try await follow(turns)).all()
        #expect(gone.map(\.name) == ["error", "done"])
        #expect(gone.error["code"] == "events_gone" && gone.done["status"] == "failed")
    }

    /// A failover of Redis removes the end of the log while a viewer follows, and Redis assigns the
    /// step's number again.
    @Test("A step number reused after a failover voids the events sent before (I5)")
    func aNumberThatIsGivenOutAgainVoidsWhatWasTold() async throws {
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

    /// A client waits for the step of one message. After the failover, the step with that number
    /// belongs to another message.
    @Test("A client whose step number now belongs to another message does not get that step")
    func whoseStepIsAnotherOnesNowIsNotToldThatOne() async throws {
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
                store: session.store, session: session.id, requester: .tenant, stopSignal: StopSignal(), stream: listener.stream,
                position: position,
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

    /// A failover of Redis has removed events of a running step. The viewer reconnects until the
    /// step ends, and then gets the end from the history.
    @Test("A hole in the log of a running step is not taken for its end")
    func aHoleInTheLogOfARunningStepIsNotItsEnd() async throws {
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

    @Test("A slow viewer gets its backlog before it is sent to another replica")
    func aViewerThatIsBehindIsSentElsewhere() async throws {
        let session = try await SessionInRedis(.shared(), lease: .seconds(60))
        let lease = try await session.begin()
        let token = String(repeating: "a", count: 200)
        try session.redis.cli("XADD", session.keys.events, "1-1", "token", token)
        // The text is longer than half of the limit.
        let (stopSignal, stream) = (StopSignal(), ClientStream(encoder: NativeEncoder(), limit: 400))
        let follower = LogFollower(
            store: session.store, session: session.id, requester: .tenant, stopSignal: stopSignal, stream: stream,
            position: .beginning(of: lease.step),
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

    /// A person has removed events from the log.
    @Test("A hole in the log causes a restart that is filled from the history (I5)")
    func aHoleInTheLogIsToldAndFilledFromTheHistory() async throws {
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

    @Test("A session without steps has no events")
    func aSessionWithoutStepsHasNothingToTell() async throws {
        let turns = Turns(try await SessionInRedis(.shared()), model: PlayedModel.saying("x"))
        guard case .noSession = try await turns.service.resumePoint(turns.session.id, after: nil, as: .tenant) else {
            Issue.record("there is a session")
            return
        }
        try turns.session.redis.cli("RPUSH", turns.session.keys.history, #"{"role":"user","content":"x"}"#)
        #expect(try await follow(turns) == nil)
    }

    @Test("A viewer learns that its session was deleted")
    func aViewerOfADeletedSessionIsToldSo() async throws {
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

    /// A viewer at any position follows a step across takeovers.
    @Test("A viewer's stream continues through takeovers to the final done event (I6)")
    func aViewerGoesOnThroughATakeover() async throws {
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
        // A repeated request with an id of the replacing step continues there (I2).
        let whole = try await owner.all()
        let id = try #require(whole.first { $0.name == "restart" }?.id)
        #expect(try await turns.say("hello", key: "k", lastEventID: id).all() == Array(whole.suffix(2)))
        #expect(try turns.history().count == 3)
    }

    // MARK: POST

    @Test("A repeated request continues after its last event id")
    func aRequestSentAgainGoesOnBehindItsID() async throws {
        let turns = Turns(try await SessionInRedis(.shared()), model: PlayedModel.saying("one ", "two ", "three"))
        let told = try await turns.say("hello", key: "k").all()
        for (index, event) in told.enumerated() {
            let rest = try await turns.say("hello", key: "k", lastEventID: event.id).all()
            // A request always ends with `done`.
            #expect(rest == (event.name == "done" ? [event] : Array(told.dropFirst(index + 1))))
        }
        // An id of another step, or of no step.
        let foreign = try await turns.say("hello", key: "k", lastEventID: "4-1.zzzz").all()
        #expect(foreign.first?.data == ["type": "restart", "step": 1, "replaces": 4, "reason": "unknown_event_id"])
        #expect(Array(foreign.dropFirst()) == told)
        // A request that was never accepted begins now, and its stream says so.
        let new = try await turns.say("hello", key: "other", lastEventID: told[0].id).all()
        #expect(new.first?.data == ["type": "restart", "step": 2, "replaces": 1, "reason": "unknown_event_id"])
        #expect(new.content == "one two three")
        #expect(try turns.history().count == 5)
    }

    // MARK: Bounds

    /// Another replica may still take the step over, so the follower does not report a failure to
    /// the viewer.
    @Test("A viewer of a step without an owner is asked to reconnect")
    func aViewerOfAStepWithoutAReplicaIsAskedToComeAgain() async throws {
        let session = try await SessionInRedis(.shared(), lease: .milliseconds(100))
        _ = try await session.begin()
        let turns = Turns(session, model: PlayedModel.saying("x"))
        let viewer = try #require(try await follow(turns))
        #expect(try await viewer.all().isEmpty)
        #expect(viewer.text.hasSuffix("\nretry: 1000\n\n"))
    }

    /// Redis is down for longer than a lease. The step's owner cannot reach Redis either, and may
    /// still store the end later.
    @Test("A viewer whose log cannot be read is asked to reconnect")
    func aViewerWhoseLogCannotBeReadIsAskedToComeAgain() async throws {
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

    @Test("A stopping replica sends its viewers away at once")
    func aViewerOfAReplicaThatStopsIsSentElsewhere() async throws {
        let session = try await SessionInRedis(.shared(), lease: .seconds(60))
        let lease = try await session.begin()
        let (stopSignal, listener) = (StopSignal(), Listener())
        let follower = LogFollower(
            store: session.store, session: session.id, requester: .tenant, stopSignal: stopSignal, stream: listener.stream,
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

    @Test("The follower ends when its client disconnects")
    func aViewerThatLeavesIsLetGo() async throws {
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
