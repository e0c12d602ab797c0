import NIOCore
import TestSupport
import Testing

@testable import LanguageModels
@testable import LocalDeployment

/// A client that belongs to the tests and the server's decoder read the personalities' streams.
@Suite("Completions of every personality")
struct PersonalityTests {
    private static let thinkers: Set<Personality> = [.deepseek, .kimi, .openrouter, .vllm, .ollama]

    /// The server accepts complete reasoning, and reports nothing as missing.
    @Test("A request that returns everything is accepted", arguments: Personality.allCases)
    func whatComesBackWholeIsTaken(_ personality: Personality) throws {
        var loop = try ScriptedLoop(with: personality)
        if personality == .deepseekR1 {
            for place in loop.messages.indices { loop.change(place) { $0["reasoning_content"] = nil } }
        }
        #expect(loop.refusal == nil)
        #expect(loop.loss == nil)
        let holds = loop.messages.contains { $0.object.keys.contains { $0.hasPrefix("reasoning") } }
        #expect(holds == Self.thinkers.contains(personality))
    }

    @Test("A stream holds what the model says", arguments: Personality.allCases)
    func aStreamHoldsWhatTheModelSays(_ personality: Personality) throws {
        let loop = try ScriptedLoop(with: personality)
        let calls = try loop.sent(ScriptedCompletion(text: ["One ", "moment."], calls: ScriptedLoop.calls))
        #expect(calls.text == "One moment." && calls.finish == "tool_calls" && calls.isMarked && calls.hasUsage)
        #expect(calls.calls.map { $0["function"]?["name"].string } == ["read_file", "echo"])
        #expect(calls.calls.map { $0["function"]?["arguments"].string } == ScriptedLoop.calls.map(\.arguments))
        let text = try loop.sent(ScriptedCompletion(text: ["Two ", "files."]))
        #expect(text.text == "Two files." && text.finish == "stop" && text.calls.isEmpty)
    }

    @Test("A whole completion has the same members as the stream", arguments: Personality.allCases)
    func aWholeAnswerHoldsTheSameMembers(_ personality: Personality) throws {
        let loop = try ScriptedLoop(with: personality)
        let completion = ScriptedCompletion(text: ["One ", "moment."], calls: ScriptedLoop.calls)
        let answer = personality.answer(completion, to: loop.request(loop.messages) { $0["stream"] = false })
        guard case .bytes(let bytes) = answer.parts.first else { throw NeverHappened(description: "an answer without bytes") }
        let whole = try JSON(parsing: bytes)["choices"][0]["message"]
        let streamed = try loop.sent(completion).message
        #expect(Set(whole.object.keys) == Set(streamed.object.keys))
        let calls = whole["tool_calls"].array.map { Set($0.object.keys) }
        #expect(calls == streamed["tool_calls"].array.map { Set($0.object.keys).subtracting(["index"]) })
    }

    @Test("The decoder reads each personality the same at any split", arguments: Personality.allCases, [1, 7, 64, 1 << 20])
    func theDecoderReadsEach(_ personality: Personality, length: Int) throws {
        let loop = try ScriptedLoop(with: personality)
        let completion = ScriptedCompletion(text: ["One ", "moment."], calls: ScriptedLoop.calls)
        let answer = personality.answer(completion, to: loop.request(loop.messages)).split(every: length)
        let parts = answer.parts.compactMap { part in
            if case .bytes(let bytes) = part { bytes } else { nil }
        }
        let decoded = Decoded(parts: parts)
        #expect(decoded.error == nil, "\(decoded.message)")
        #expect(decoded.text == "One moment.")
        #expect(decoded.calls.map(\.name) == ["read_file", "echo"])
        #expect(decoded.calls.map(\.arguments) == ScriptedLoop.calls.map(\.arguments))
        #expect(decoded.events.last == .finish(.toolCalls))
        #expect(decoded.events.contains(.usage(TokenUsage(promptTokens: 20, completionTokens: 8))))
    }

    @Test("Drill seeds pick every personality")
    func seedsPickThemAll() {
        #expect(Set((0..<UInt64(Personality.allCases.count)).map(Personality.picked)) == Set(Personality.allCases))
        // The drills of docs/failover.md use this personality.
        #expect(Personality.picked(by: 11) == .plain)
    }

    // MARK: Peculiarities of each

    private func chunks(_ personality: Personality) throws -> (all: [JSON], text: String) {
        let loop = try ScriptedLoop(with: personality)
        let answer = personality.answer(ScriptedCompletion(text: ["Hi"], calls: ScriptedLoop.calls), to: loop.request(loop.messages))
        var bytes = ByteBuffer()
        for case .bytes(let part) in answer.parts { bytes.writeImmutableBuffer(part) }
        let text = String(buffer: bytes)
        let data = text.split(separator: "\n").filter { $0.hasPrefix("data: {") }.map { String($0.dropFirst(6)) }
        return (try data.map { try JSON($0) }, text)
    }

    private func fragments(_ chunks: [JSON]) -> [JSON] { chunks.flatMap { $0["choices"][0]["delta"]["tool_calls"].array } }

    @Test("Whole calls share an index", arguments: [Personality.gemini, .ollama])
    func wholeCallsShareAnIndex(_ personality: Personality) throws {
        let calls = fragments(try chunks(personality).all)
        #expect(calls.map { $0["index"].int } == [0, 0])
        #expect(calls.map { $0["id"].string == "" } == (personality == .gemini ? [true, true] : [false, false]))
        let signatures = calls.map { $0["extra_content"]["google"]["thought_signature"].string != nil }
        #expect(signatures == (personality == .gemini ? [true, false] : [false, false]))
    }

    @Test("vLLM gives each fragment an id")
    func vllmGivesEachFragmentAnID() throws {
        let calls = fragments(try chunks(.vllm).all)
        #expect(calls.count == 6 && Set(calls.compactMap { $0["id"].string }).count == 6)
    }

    @Test("Mistral sends short ids and content parts")
    func mistralsIDsAndParts() throws {
        let all = try chunks(.mistral).all
        #expect(fragments(all).allSatisfy { $0["id"].string?.wholeMatch(of: /[a-zA-Z0-9]{9}/) != nil })
        #expect(all.contains { $0["choices"][0]["delta"]["content"] == [["type": "text", "text": "Hi"]] })
        #expect(all.last?["choices"].array.isEmpty == false && all.last?["usage"].isNull == false)
    }

    @Test("OpenRouter sends comments and split reasoning")
    func openRoutersCommentsAndPieces() throws {
        let (all, text) = try chunks(.openrouter)
        #expect(text.hasPrefix(": OPENROUTER PROCESSING\n\n"))
        let details = all.flatMap { $0["choices"][0]["delta"]["reasoning_details"].array }
        #expect(details.dropLast(2).allSatisfy { $0["text"].string != nil && $0["signature"].isNull && $0["index"] == 0 })
        #expect(details.dropLast().last?["text"].isNull == true && details.dropLast().last?["signature"].string != nil)
        #expect(details.last?["index"] == 1)
    }

    @Test("Azure's first chunk has no choices")
    func azuresFirstChunk() throws {
        let all = try chunks(.azure).all
        #expect(all.first?["choices"] == [] && all.first?["prompt_filter_results"].isNull == false)
        #expect(all.dropFirst().dropLast().allSatisfy { !$0["choices"][0]["content_filter_results"].isNull })
    }
}
