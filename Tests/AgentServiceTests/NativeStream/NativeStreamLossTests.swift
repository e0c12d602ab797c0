import Foundation
import LanguageModels
import NIOCore
import ServiceLifecycle
import TestSupport
import Testing

@testable import AgentService
@testable import SessionStore

/// Compares the native stream, byte for byte, with a recording: steps that are cancelled, released
/// or lost.
@Suite("The native stream of lost steps as it was recorded", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct NativeStreamLossTests {
    /// Emits two pieces of text, and then nothing until it is cancelled.
    private static let half: PlayedModel.Script = { _, sink in
        try await sink([.textDelta("half "), .textDelta("a ")])
        try await Task.sleep(for: .seconds(3600))
    }

    @Test("A cancelled step") func cancel() async throws {
        let turns = Turns(try await SessionInRedis(.shared()), model: Self.half)
        var recording = turns.recording
        let owner = try await turns.say("hello", ["metadata": ["a": 1]], key: "k")
        let viewer = try #require(try await turns.join())
        try await eventually("the log has it") { try await turns.session.tokens(step: 1).count == 2 }
        try await eventually("both are told") { try owner.tokens() == "half a " && viewer.tokens() == "half a " }
        #expect(try await turns.service.cancel(turns.session.id, step: nil, as: .tenant) == 1)
        recording.add("said", try await owner.bytes())
        recording.add("joined", try await viewer.bytes())
        try await turns.recordResumes(
            of: "hello", ["metadata": ["a": 1]], key: "k", after: try owner.soFar(), into: &recording)
        #expect(try recording.difference(from: "cancel") == nil)
    }

    @Test("A step that another replica runs again") func restart() async throws {
        let session = try await SessionInRedis(.shared(), lease: .seconds(60))
        let turns = Turns(session, model: Self.half)
        var recording = turns.recording
        let owner = try await turns.say("hello", key: "k")
        let viewer = try #require(try await turns.join())
        try await eventually("the log has it") { try await session.tokens(step: 1).count == 2 }
        try await eventually("both are told") { try owner.tokens() == "half a " && viewer.tokens() == "half a " }
        let other = try await session.seize(1)
        try await session.commit(other, saying: "from elsewhere")
        recording.add("said", try await owner.bytes())
        recording.add("joined", try await viewer.bytes())
        try await turns.recordResumes(of: "hello", key: "k", after: try owner.soFar(), into: &recording)
        #expect(try recording.difference(from: "restart") == nil)
    }

    @Test("Event ids that the log does not have") func unknownIDs() async throws {
        let turns = Turns(try await SessionInRedis(.shared()), model: PlayedModel.saying("one ", "two"))
        var recording = turns.recording
        let owner = try await turns.say("hello", key: "k")
        recording.add("said", try await owner.bytes())
        recording.add("joined after another nonce", try await turns.joined(after: "1-1.zzzz"))
        recording.add("joined after a later step", try await turns.joined(after: "9-4.zzzz"))
        recording.add("said again after a later step", try await turns.saidAgain("hello", key: "k", after: "4-1.zzzz"))
        recording.add("said for the first time after an id", try await turns.saidAgain("hello", key: "other", after: "1-1.zzzz"))
        for _ in 0..<4 { _ = try await turns.say("more").all() }
        try await turns.recordResumes(of: "hello", key: "k", after: try owner.soFar(), into: &recording)
        #expect(try recording.difference(from: "unknown-ids") == nil)
    }

    @Test("Steps that are reconstructed from the history")
    func reconstructed() async throws {
        let call = (id: "a", name: "read_file", arguments: #"{"path":"x\n😀","n":[1,2.5,{}]}"#)
        let scripts: [(String, PlayedModel.Script)] = [
            ("text", PlayedModel.saying("Hel", "lo\u{2028}")),
            ("calls", PlayedModel.calling(call, (id: "b", name: "echo", arguments: ""))),
            (
                "text and calls",
                { request, sink in
                    try await sink([.textDelta("I look. ")])
                    try await PlayedModel.calling(call, (id: "b", name: "echo", arguments: "nonsense"))(request, sink)
                }
            ),
            (
                "failed",
                { _, sink in
                    try await sink([.textDelta("half")])
                    var error = LLMError(.quotaSpent, "Nothing is left.")
                    error.upstreamCode = "insufficient_quota"
                    throw error
                }
            ),
            ("cut", { _, sink in try await sink([.textDelta("half a sen"), .finish(.length)]) }),
            ("empty", PlayedModel.saying()),
        ]
        for (name, script) in scripts {
            let turns = Turns(try await SessionInRedis(.shared()), model: script)
            var recording = turns.recording
            let owner = try await turns.say(name, ["metadata": ["a": 1]], key: "k")
            recording.add("said", try await owner.bytes())
            try turns.session.redis.cli("DEL", turns.session.keys.events)
            try await turns.recordResumes(
                of: name, ["metadata": ["a": 1]], key: "k", after: try owner.soFar(), into: &recording)
            #expect(try recording.difference(from: "reconstructed \(name)".replacing(" ", with: "-")) == nil)
        }
    }

    @Test("Sessions that are gone") func gone() async throws {
        let turns = Turns(try await SessionInRedis(.shared()), model: Self.half)
        let keys = turns.session.keys
        var recording = turns.recording
        let owner = try await turns.say("hello")
        let viewer = try #require(try await turns.join())
        try await eventually("both are told") { try owner.tokens() == "half a " && viewer.tokens() == "half a " }
        #expect(try await turns.session.store.delete(turns.session.id))
        recording.add("said, deleted", try await owner.bytes())
        recording.add("joined, deleted", try await viewer.bytes())
        // A session was deleted and begun anew under the same name. First its log is lost, and then
        // its journal.
        turns.model.play(PlayedModel.saying("fine"))
        let again = try await turns.say("hello", key: "k")
        recording.add("said", try await again.bytes())
        try turns.session.redis.cli("DEL", keys.events)
        recording.add("joined after the other session's step", try await turns.joined(after: "1-1.zzzz"))
        try turns.session.redis.cli("DEL", keys.steps)
        recording.add("said again without a journal", try await turns.saidAgain("hello", key: "k"))
        recording.add("joined without a journal", try await turns.joined(after: try again.soFar()[0].id))
        try turns.session.redis.cli("SET", keys.steps, "x")
        recording.add("joined, damaged", try await turns.joined())
        #expect(try recording.difference(from: "gone") == nil)
    }

    @Test("An end that cannot be stored") func notStored() async throws {
        let redis = try await RedisServer.start()
        let gate = Gate()
        let session = try await SessionInRedis(redis) { $0.commitPatience = .milliseconds(200) }
        let turns = Turns(session) { request, sink in
            try await sink([.textDelta("half "), .textDelta("a ")])
            await gate.pass()
            try await PlayedModel.saying("sentence")(request, sink)
        }
        var recording = turns.recording
        let owner = try await turns.say("hello", ["metadata": ["a": 1]])
        try await eventually("it is told") { try owner.tokens() == "half a " }
        try await redis.kill()
        gate.open()
        recording.add("said", try await owner.bytes())
        #expect(try recording.difference(from: "not-stored") == nil)
    }

    @Test("Clients that are asked to go on elsewhere, or later") func hints() async throws {
        let session = try await SessionInRedis(.shared(), lease: .seconds(60))
        let draining = try await StepLossTests.DrainingTurns(session, model: Self.half)
        var recording = RecordedStreams(session: session.id.text)
        let (owner, viewer) = (try await draining.say("hello"), Listener())
        try draining.service.follow(session.id, from: .beginning(of: 1), stream: viewer.stream, as: .tenant)
        try await eventually("both are told") { try owner.tokens() == "half a " && viewer.tokens() == "half a " }
        await draining.group.triggerGracefulShutdown()
        recording.add("said, elsewhere", try await owner.bytes())
        recording.add("joined, elsewhere", try await viewer.bytes())
        try await draining.services.value("the services end")

        // The log of a running step has a gap.
        let orphan = Turns(try await session.elsewhere(), model: PlayedModel.saying("x"))
        try session.redis.cli("DEL", session.keys.events)
        try session.redis.cli("XADD", session.keys.events, "1-0", "nonce", try session.state("nonce"))
        try session.redis.cli("XADD", session.keys.events, "1-1", "token", "a")
        try session.redis.cli("XADD", session.keys.events, "1-5", "token", "e")
        recording.add("joined, later", try await orphan.joined())
        #expect(try recording.difference(from: "hints") == nil)
    }
}
