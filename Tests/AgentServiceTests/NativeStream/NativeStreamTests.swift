import LanguageModels
import NIOCore
import TestSupport
import Testing

@testable import AgentService
@testable import SessionStore

/// Compares the native stream, byte for byte, with a recording: steps that end on the replica that
/// began them.
@Suite("The native stream as it was recorded", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct NativeStreamTests {
    private static let odd = "\"\\/\u{0}\u{8}\t\n\u{C}\r\u{1F}\u{7F}\u{85}\u{2028}\u{2029}é日本😀"

    @Test("Text, with metadata and whatever JSON escapes") func text() async throws {
        let turns = Turns(try await SessionInRedis(.shared())) { _, sink in
            try await sink([.textDelta("Hel"), .textDelta("lo ")])
            try await sink([.textDelta(Self.odd)])
            let usage = TokenUsage(promptTokens: 9, completionTokens: 12, cachedTokens: 8, reasoningTokens: 3)
            try await sink([.textDelta("."), .usage(usage), .finish(.stop)])
        }
        let extra: [String: JSON] = ["metadata": ["a": [1, .string(Self.odd)]]]
        var recording = turns.recording
        let owner = try await turns.say("hello", extra, key: "k")
        recording.add("said", try await owner.bytes())
        try await turns.recordResumes(of: "hello", extra, key: "k", after: try owner.soFar(), into: &recording)
        #expect(try recording.difference(from: "text") == nil)
    }

    @Test("Parallel calls beside text, and their results in another order") func calls() async throws {
        let turns = Turns(try await SessionInRedis(.shared())) { request, sink in
            try await sink([.textDelta("I look. ")])
            try await PlayedModel.calling(
                (id: "a", name: "read_file", arguments: #"{ "path" : "\#u{2028}\n😀", "n":[1, 2.50, {}] }"#),
                (id: "b", name: "echo", arguments: ""), (id: "c", name: "echo", arguments: "nonsense"))(request, sink)
        }
        var recording = turns.recording
        let owner = try await turns.say("read", ["metadata": ["a": 1]], key: "k")
        recording.add("said", try await owner.bytes())
        try await turns.recordResumes(of: "read", ["metadata": ["a": 1]], key: "k", after: try owner.soFar(), into: &recording)
        turns.model.play(PlayedModel.saying("fine"))
        recording.add("result of b", try await turns.result("B", of: "b").bytes())
        recording.add("result of a", try await turns.result(["json": true], of: "a").bytes())
        recording.add("result of a again", try await turns.result(["json": true], of: "a").bytes())
        recording.add("joined after the calls", try await turns.joined(after: try #require(try owner.soFar().last?.id)))
        #expect(try recording.difference(from: "calls") == nil)
    }

    @Test("A call whose arguments are repaired, once with and once without success") func repair() async throws {
        let turns = Turns(try await SessionInRedis(.shared())) { request, sink in
            try await sink([.textDelta("try \(request.messages.count) ")])
            let isRepair = request.messages.count == 4
            let (id, arguments) = isRepair ? ("b", "{}") : ("a", "nonsense")
            try await PlayedModel.calling((id: id, name: "echo", arguments: arguments))(request, sink)
        }
        var recording = turns.recording
        let owner = try await turns.say("hello", key: "k")
        recording.add("said", try await owner.bytes())
        try await turns.recordResumes(of: "hello", key: "k", after: try owner.soFar(), into: &recording)
        recording.add("result", try await turns.result("x", of: "b").bytes())
        #expect(try recording.difference(from: "repair") == nil)
    }

    @Test("Reasoning that is shown") func reasoning() async throws {
        let turns = Turns(try await SessionInRedis(.shared())) { _, sink in
            try await sink([.reasoningDelta("I "), .reasoningDelta(Self.odd)])
            try await sink([.reasoningDelta("so"), .textDelta("Hello"), .reasoningDelta("!")])
            try await sink([.finish(.stop)])
        }
        var recording = turns.recording
        let owner = try await turns.say("hello", key: "k")
        recording.add("said", try await owner.bytes())
        try await turns.recordResumes(of: "hello", key: "k", after: try owner.soFar(), into: &recording)
        #expect(try recording.difference(from: "reasoning") == nil)
    }

    private static func errors() -> [(name: String, error: LLMError)] {
        var limited = LLMError(.rateLimited, "Slow \"down\".", status: 429)
        (limited.upstreamCode, limited.retryAfter) = ("1302", 7)
        var spent = LLMError(.quotaSpent, "Nothing is left.")
        spent.upstreamCode = "insufficient_quota"
        return [
            ("silence", LLMError(.timeout, "The model was silent.")), ("rate limit", limited), ("quota", spent),
            ("refusal", LLMError(.rejected, "No.")),
        ]
    }

    @Test("Errors of the model") func errors() async throws {
        let turns = Turns(try await SessionInRedis(.shared()), { $0.maximumAnswerBytes = 100 }, model: PlayedModel.saying())
        var recording = turns.recording
        for (name, error) in Self.errors() {
            turns.model.play { _, sink in
                try await sink([.textDelta("half")])
                throw error
            }
            let owner = try await turns.say(name, key: name)
            recording.add(name, try await owner.bytes())
            recording.add("\(name), joined", try await turns.joined())
        }
        let scripts: [(String, PlayedModel.Script)] = [
            ("empty", PlayedModel.saying()),
            ("cut text", { _, sink in try await sink([.textDelta("half a sen"), .finish(.length)]) }),
            (
                "cut call",
                { _, sink in try await sink([.toolCall(index: 0, id: "a", name: "echo", arguments: #"{"a":"#), .finish(.length)]) }
            ),
            ("unknown end", { _, sink in try await sink([.textDelta("x"), .finish(.unknown("odd \"word\""))]) }),
            ("too large", { _, sink in while true { try await sink([.textDelta(String(repeating: "x", count: 40))]) } }),
        ]
        for (name, script) in scripts {
            turns.model.play(script)
            recording.add(name, try await turns.say(name, key: name).bytes())
            recording.add("\(name), joined", try await turns.joined())
        }
        #expect(try recording.difference(from: "errors") == nil)
    }

    @Test("Comments that keep a silent stream alive") func keepAlive() async throws {
        let gate = Gate()
        let turns = Turns(try await SessionInRedis(.shared())) { request, sink in
            try await sink([.textDelta("Hello")])
            await gate.pass()
            try await PlayedModel.saying("!")(request, sink)
        }
        var recording = turns.recording
        let owner = try await turns.say("hello")
        let viewer = try #require(try await turns.join())
        try await eventually("both are told") { try owner.tokens() == "Hello" && viewer.tokens() == "Hello" }
        for _ in 0..<2 {
            owner.stream.tick(silenceLimit: 1)
            viewer.stream.tick(silenceLimit: 1)
        }
        gate.open()
        recording.add("said", try await owner.bytes())
        recording.add("joined", try await viewer.bytes())
        #expect(try recording.difference(from: "keep-alive") == nil)
    }
}
