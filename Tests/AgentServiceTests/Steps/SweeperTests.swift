import Foundation
import SessionStore
import TestSupport
import Testing

@testable import AgentService
@testable import LanguageModels

/// No client requests the steps.
@Suite("The sweeper", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct SweeperTests {
    /// Runs a sweeper and a replica's turns together.
    private final class Sweeping: Sendable {
        let turns: Turns
        private let task: Task<Void, any Error>

        init(_ session: SessionInRedis, model: @escaping PlayedModel.Script = PlayedModel.saying("whole")) {
            turns = Turns(session, model: model)
            let sweeper = Sweeper(service: turns.service, period: .milliseconds(20), logger: .quiet)
            task = Task { try await sweeper.run() }
        }

        deinit { task.cancel() }
    }

    private static func hint(_ session: SessionInRedis) throws -> Double? {
        Double(try session.redis.cli("ZSCORE", session.keys.running, session.id.text))
    }

    @Test("Sweepers find lost steps, each once (I6)")
    func lostStepsAreFound() async throws {
        let redis = try await RedisServer.start()
        var lost: [SessionInRedis] = []
        for _ in 0..<40 {
            let session = try await SessionInRedis(redis, lease: .milliseconds(300))
            _ = try await session.begin()
            lost.append(session)
        }
        let (one, two) = (Sweeping(try await lost[0].elsewhere()), Sweeping(try await lost[0].elsewhere()))
        for session in lost {
            try await eventually("\(session.id) is answered") { try redis.history(session.id).last?["content"] == "whole" }
        }
        // One of the two sweepers finds each step, and only once.
        #expect(one.turns.model.requests.count + two.turns.model.requests.count == lost.count)
        for session in lost { #expect(try redis.history(session.id).count == 2) }
        // When no step runs, no hint remains.
        try await eventually("all hints are gone") { try redis.cli("--scan", "--pattern", "agent:running:*") == "" }
        withExtendedLifetime((one, two)) {}
    }

    /// If a hint was set too early, the sweeper moves it. The hint exists as long as the step runs.
    @Test("A sweeper leaves a living step alone and moves its hint")
    func aLivingStepIsLeftAlone() async throws {
        let session = try await SessionInRedis(.start(), lease: .seconds(60))
        _ = try await session.begin()
        try session.redis.cli("ZADD", session.keys.running, "1", session.id.text)
        let sweeping = Sweeping(try await session.elsewhere())
        try await eventually("the hint has moved") { try Self.hint(session) ?? 0 > 1 }
        let leaseUntil = try #require(Double(try session.state("lease_until")))
        #expect(try Self.hint(session) == leaseUntil + 200)
        #expect(try session.state("fence") == "1")
        #expect(sweeping.turns.model.requests.isEmpty)
    }

    /// The replica could not store the end while Redis was down, and has told its client so.
    @Test("A step whose end was not stored runs again")
    func aStepWhoseEndWasNotStoredIsRunAgain() async throws {
        let durable = ["--appendonly", "yes", "--appendfsync", "always"]
        let redis = try await RedisServer.start(durable)
        let session = try await SessionInRedis(redis, lease: .milliseconds(500)) { $0.commitPatience = .milliseconds(100) }
        let gate = Gate()
        let sweeping = Sweeping(session) { request, sink in
            await gate.pass()
            try await PlayedModel.saying("whole")(request, sink)
        }
        let listener = try await sweeping.turns.say("hello", key: "k")
        try await redis.kill()
        gate.open()
        #expect(try await listener.all().error["code"] == "store_unavailable")
        try FileManager.default.removeItem(atPath: redis.socket)
        let again = try await RedisServer.start(durable, directory: redis.directory, port: redis.port)
        try await eventually("it is answered") { try again.history(session.id).last?["content"] == "whole" }
        #expect(try again.history(session.id).map { $0["role"] } == ["system", "user", "assistant"])
        var told: [Listener.Told] = []
        try await eventually("the client's retry is told") {
            told = try await sweeping.turns.say("hello", key: "k").all()
            return told.done["status"] == "completed"
        }
        #expect(told.content == "whole")
        try await again.stop()
    }

    @Test("A damaged session does not delay other steps")
    func aSessionThatIsBrokenIsPutOff() async throws {
        let redis = try await RedisServer.start()
        let broken = try await SessionInRedis(redis)
        _ = try await broken.begin()
        try broken.expire()
        try redis.cli("ZADD", broken.keys.running, "1", broken.id.text)
        try redis.cli("DEL", broken.keys.events)
        try redis.cli("SET", broken.keys.events, "no stream")
        let sweeping = Sweeping(try await broken.elsewhere())
        try await eventually("its hint has moved") { try Self.hint(broken) ?? 0 > 1_600_000_000_000 }
        #expect(sweeping.turns.model.requests.isEmpty)
    }
}
