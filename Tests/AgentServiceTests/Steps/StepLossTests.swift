import Foundation
import NIOCore
import ServiceLifecycle
import TestSupport
import Testing

@testable import AgentService
@testable import LanguageModels
@testable import SessionStore
@testable import agent_server

/// Another replica takes a step over, or Redis goes down.
@Suite("Steps that lose their lease or their Redis", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct StepLossTests {
    /// The former owner's client gets the events of the replacing step.
    @Test("An owner that lost its lease writes nothing and follows the new owner (I3)", arguments: [true, false])
    func anOwnerThatLostItsLeaseFollowsTheNewOne(noticedAtTheEnd: Bool) async throws {
        let session = try await SessionInRedis(.shared(), lease: .seconds(60))
        let gate = Gate()
        let turns = Turns(session) {
            // Without appends, the owner learns of the loss only at the commit.
            if noticedAtTheEnd { $0.logInterval = .seconds(3600) }
        } model: { request, sink in
            guard noticedAtTheEnd else { return try await PlayedModel.endless(request, sink) }
            try await sink([.textDelta("word ")])
            await gate.pass()
            try await PlayedModel.calling((id: "a", name: "echo", arguments: "{}"))(request, sink)
        }
        let listener = try await turns.say("hello")
        try await eventually("the old owner has said something") { try !listener.tokens().isEmpty }
        let other = try await session.seize(1)
        #expect(other.step == 2)
        gate.open()
        try await eventually("the client is told of the restart") { try listener.soFar().contains { $0.name == "restart" } }
        #expect(try listener.soFar().last?.data["step"] == 2)
        try await session.commit(other, saying: "from elsewhere")

        let told = try await listener.all()
        let restart = try #require(told.firstIndex { $0.name == "restart" })
        #expect(told[restart].data == ["type": "restart", "step": 2, "replaces": 1, "reason": "replica_lost"])
        #expect(told[..<restart].allSatisfy { $0.id?.hasPrefix("1-") == true && $0.data["token"] == "word " })
        #expect(told[restart...].allSatisfy { $0.id?.hasPrefix("2-") == true })
        #expect(told[restart...].map(\.name) == ["restart", "message", "done"])
        #expect(told.content == "from elsewhere")
        #expect(try turns.history().map { $0["content"] } == ["be brief", "hello", "from elsewhere"])
        #expect(try session.redis.cli("HLEN", session.keys.pending) == "0")
        // The old step's entries were written before the loss. The new owner wrote the new step's
        // entries.
        #expect(try await session.entries(step: 2).flatMap(\.fields).map(\.name) == ["message", "done"])
    }

    @Test("The deletion of a session ends its step and leaves nothing behind")
    func aStepWhoseSessionIsDeletedEnds() async throws {
        let session = try await SessionInRedis(.shared())
        let turns = Turns(session, model: PlayedModel.endless)
        let listener = try await turns.say("hello")
        try await eventually("it runs") { try !listener.tokens().isEmpty }
        #expect(try await session.store.delete(session.id))
        let told = try await listener.all()
        #expect(told.error["code"] == "session_deleted" && told.error["retryable"] == false)
        #expect(told.done["status"] == "failed")
        #expect(told.suffix(2).allSatisfy { $0.id == nil })
        // The session's keys are not created again.
        #expect(try session.redis.cli(["EXISTS"] + session.keys.all) == "0")
    }

    @Test("A client learns that the end could not be stored")
    func whereTheEndCannotBeStoredTheClientIsToldSo() async throws {
        let redis = try await RedisServer.start()
        let gate = Gate()
        let session = try await SessionInRedis(redis) { $0.commitPatience = .milliseconds(200) }
        let turns = Turns(session) { request, sink in
            try await sink([.textDelta("Hello")])
            await gate.pass()
            try await PlayedModel.saying("!")(request, sink)
        }
        let listener = try await turns.say("hello", ["metadata": ["a": 1]])
        try await eventually("the token is told") { try listener.tokens() == "Hello" }
        try await redis.kill()
        gate.open()
        let told = try await listener.all()
        #expect(told.tokens == "Hello!")
        #expect(told.content == nil)
        #expect(told.error["code"] == "store_unavailable" && told.error["retryable"] == true)
        #expect(told.done["status"] == "failed" && told.done["metadata"] == ["a": 1])
        #expect(told.done["history_length"].isNull)
        // These events are not in the log, so they have no id.
        #expect(told.suffix(2).map(\.id) == [nil, nil])
        #expect(told.suffix(2).map(\.name) == ["error", "done"])
    }

    /// Redis is down while the model writes. It returns before the commit stops trying.
    @Test("A short outage of Redis is not noticed")
    func aRedisThatComesBackInTimeIsNotNoticed() async throws {
        let durable = ["--appendonly", "yes", "--appendfsync", "always"]
        let redis = try await RedisServer.start(durable)
        let gate = Gate()
        let session = try await SessionInRedis(redis)
        let turns = Turns(session) { request, sink in
            try await sink([.textDelta("Hello")])
            await gate.pass()
            for _ in 0..<100 { try await sink([.textDelta(".")]) }
            try await PlayedModel.saying("!")(request, sink)
        }
        let listener = try await turns.say("hello")
        try await eventually("the token is told") { try listener.tokens() == "Hello" }
        try await redis.kill()
        gate.open()
        let text = "Hello" + String(repeating: ".", count: 100) + "!"
        // The client still gets text while Redis is down.
        try await eventually("all tokens are told") { try listener.tokens() == text }
        try FileManager.default.removeItem(atPath: redis.socket)
        let again = try await RedisServer.start(durable, directory: redis.directory, port: redis.port)
        let told = try await listener.all()
        #expect(told.content == text)
        #expect(told.done["status"] == "completed")
        #expect(try turns.history().last?["content"] == .string(text))
        #expect(try await session.tokens(step: 1).joined() == text)
        try await again.stop()
    }

    @Test("A message that cannot be stored begins no step")
    func whereTheMessageCannotBeStoredNothingBegins() async throws {
        let redis = try await RedisServer.start()
        let session = try await SessionInRedis(redis) { $0.retryPatience = .milliseconds(200) }
        let turns = Turns(session, model: PlayedModel.saying("x"))
        _ = try await turns.say("one").all()
        try await redis.kill()
        let error = await #expect(throws: TurnError.self) { _ = try await turns.say("two") }
        guard case .store = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(turns.model.requests.count == 1)
        try await eventually("nothing runs") { turns.scheduler.runningSteps == 0 }
    }

    /// A drained step's client is told to reconnect. A release does not count as an attempt.
    @Test("A stopping replica releases its steps, and another replica runs them at once")
    func aDrainedStepGoesOnElsewhere() async throws {
        let session = try await SessionInRedis(.shared(), lease: .seconds(60))
        let draining = try await DrainingTurns(session)
        let follower = Listener()
        let running = try await draining.say("hello")
        try await eventually("it runs") { try !running.tokens().isEmpty }
        try draining.service.follow(session.id, from: .beginning(of: 1), stream: follower.stream, as: .tenant)
        try await eventually("it is followed") { try !follower.tokens().isEmpty }
        await draining.group.triggerGracefulShutdown()
        for listener in [running, follower] {
            let told = try await listener.all()
            #expect(told.allSatisfy { $0.data["token"] == "word " })
            #expect(listener.text.hasSuffix("\n\n: this replica stops\nretry: 100\n\n"))
        }
        try await draining.services.value("the services end")
        #expect(try session.state("status") == "running")
        #expect(
            Double(try session.redis.cli("ZSCORE", session.keys.running, session.id.text)) ?? .infinity
                <= Double(try await session.store.now()))

        // The takeover happens at once, although the lease would last a minute, and the other
        // replica has just started.
        let elsewhere = Turns(try await session.elsewhere(outagePause: .seconds(60)), model: PlayedModel.saying("better here"))
        #expect(try await elsewhere.service.takeOver(session.id, step: 1))
        try await eventually("it is answered") { try session.redis.history(session.id).last?["content"] == "better here" }
        #expect(try session.state("attempt") == "1")
    }

    /// Turns of a replica that the test can stop.
    struct DrainingTurns {
        let service: TurnService
        let group: ServiceGroup
        let services: Task<Void, any Error>
        let id: SessionID

        init(_ session: SessionInRedis, model: @escaping PlayedModel.Script = PlayedModel.endless) async throws {
            let scheduler = StepScheduler(maximumSteps: 10, drain: .milliseconds(100), executors: .shared, logger: .quiet)
            service = TurnService(
                store: session.store, models: ModelCatalog(server: PlayedModel(model), defaultModel: "m"),
                scheduler: scheduler,
                flushTimer: LogFlushTimer(tick: .milliseconds(2)),
                keepAlive: KeepAlive(period: .seconds(15)),
                configuration: TurnConfiguration(replica: "owner", systemPrompt: nil), logger: .quiet)
            let group = ServiceGroup(services: [scheduler], logger: .quiet)
            (self.group, id) = (group, session.id)
            services = Task { try await group.run() }
        }

        func say(_ text: String) async throws -> Listener {
            let listener = Listener()
            let body = AgentClient.body(id.text, ["content": .string(text)]).text
            try await service.start(
                try TurnRequest(body: ByteBuffer(string: body), tenant: .standard, as: .tenant), stream: listener.stream)
            return listener
        }
    }
}
