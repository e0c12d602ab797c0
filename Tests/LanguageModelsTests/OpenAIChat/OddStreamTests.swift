import NIOCore
import SessionStore
import TestSupport
import Testing

@testable import LanguageModels

/// The client gets the same completion for every form and every split.
@Suite("Odd forms of streams", .tags(.search))
struct OddStreamTests {
    @Test("The plain forms decode as expected")
    func thePlainFormsAreWhatTheyAreTakenFor() {
        let text = Heard(OddStream.text)
        #expect(text.status == .completed && text.text == "Grüße 😀!" && text.reason == "stop")
        #expect(text.usage == TokenUsage(promptTokens: 9, completionTokens: 12))
        let calls = Heard(OddStream.calls)
        #expect(calls.status == .waiting && calls.calls == [#"read_file {"path":"a"}"#, #"echo {"text":"😀"}"#])
    }

    @Test("An odd form decodes like the plain form, however it is split", arguments: OddStream.all)
    func anOddFormSaysTheSame(stream: OddStream) {
        let expected = Heard(stream.plain)
        for length in [stream.bytes.count, 1, 2, 3, 5, 7, 64] {
            let heard = Heard(Heard.pieces(stream.bytes, every: length), contentType: stream.contentType)
            #expect(heard == expected, "in pieces of \(length)")
        }
        var random = SeededGenerator(seed: UInt64(stream.bytes.count))
        for _ in 0..<20 {
            let parts = Self.parts(of: stream.bytes, using: &random)
            let heard = Heard(parts, contentType: stream.contentType)
            #expect(heard == expected, "in pieces of \(parts.map(\.readableBytes))")
        }
    }

    private static func parts(of bytes: [UInt8], using random: inout SeededGenerator) -> [ByteBuffer] {
        let longest = [2, 9, 40, 400].randomElement(using: &random) ?? 9
        var rest = bytes[...]
        var parts: [ByteBuffer] = []
        while !rest.isEmpty {
            let length = min(rest.count, Int.random(in: 0...longest, using: &random))
            parts.append(ByteBuffer(bytes: rest.prefix(length)))
            rest = rest.dropFirst(length)
        }
        return parts
    }

    /// Only the blank lines are missing: the parser still emits each event at once.
    @Test("Single newlines between events hold no text back")
    func singleNewlinesHoldNothingBack() throws {
        var answer = ChatCompletionDecoder(
            expectsStream: true, limits: ResponseLimits(bodyBytes: 1 << 20, errorBytes: 100))
        var events: [LLMEvent] = []
        try answer.receiveHead(status: 200, contentType: "text/event-stream")
        let chunk = "data: \(Decoded.delta(#"{"content":"x"}"#))\n"
        for _ in 0..<3 { _ = try answer.receiveBody(ByteBuffer(string: chunk), into: &events) }
        #expect(events == [.textDelta("x"), .textDelta("x")])
    }

    // MARK: Characters

    @Test(
        "Halves of surrogate pairs are joined or replaced",
        arguments: [
            (#""A \ud83d"|" B""#, "A \u{FFFD} B"), (#""A \udc00 B""#, "A \u{FFFD} B"), (#""A \ud83d\ud83d\ude00 B""#, "A \u{FFFD}😀 B"),
            (#""A \ud83d"|"\ud83d"|"\ude00 B""#, "A \u{FFFD}😀 B"), (#""A \ud83dx"|"\ude00 B""#, "A \u{FFFD}x\u{FFFD} B"),
            (#""A B \ud83d""#, "A B \u{FFFD}"), (#""A \ude00\ud83d B""#, "A \u{FFFD}\u{FFFD} B"), (#""A "|"😀 B""#, "A 😀 B"),
            (#""A \ud83d"|""|"\ude00 B""#, "A 😀 B"),
        ]
    )
    func halvesOfPairsAreJoinedOrReplaced(pieces: String, text: String) {
        let chunks = pieces.split(separator: "|").map { Decoded.delta(#"{"content":\#($0)}"#) }
        let decoded = Decoded(chunks: chunks + [Decoded.delta("{}", finish: "stop")])
        #expect(decoded.error == nil && decoded.text == text)
        #expect(decoded.events.last == .finish(.stop))
    }

    @Test(
        "Bytes of a split character are joined or replaced",
        arguments: [
            ([[0xF0, 0x9F], [0x98, 0x80]], "😀"), ([[0xF0], [0x9F], [0x98], [0x80]], "😀"), ([[0xE2, 0x82], [0xAC]], "€"),
            ([[0xC3], [0xA9]], "é"), ([[0x80]], "\u{FFFD}"), ([[0xFF]], "\u{FFFD}"), ([[0xED, 0xA0, 0xBD], [0xED, 0xB8, 0x80]], "😀"),
            ([[0xC3], [0x41]], "\u{FFFD}A"),
        ] as [([[UInt8]], String)]
    )
    func bytesOfCharactersAreJoinedOrReplaced(pieces: [[UInt8]], text: String) {
        var body: [UInt8] = []
        for piece in pieces { body += Array(#"data: {"choices":[{"delta":{"content":""#.utf8) + piece + Array("\"}}]}\n\n".utf8) }
        body += Array((OddStream.events([OddStream.stop]) + OddStream.mark).utf8)
        for length in [body.count, 1, 3] {
            let heard = Heard(Heard.pieces(body, every: length))
            #expect(heard.status == .completed && heard.text == text, "\(heard)")
        }
    }

    /// The text equals the whole text, and decoding never fails.
    @Test("Text split between any two units is whole again", arguments: 0..<4)
    func textThatIsCutBetweenAnyTwoUnitsIsWhole(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<100 {
            let text = String((0..<Int.random(in: 1...8, using: &random)).map { _ in "aé€😀𝄞\u{FFFD}".randomElement(using: &random) ?? "a" })
            var pieces = [""]
            for unit in text.utf16 {
                if Bool.random(using: &random) { pieces.append("") }
                pieces[pieces.count - 1] += #"\u"# + String(0x1_0000 + Int(unit), radix: 16).dropFirst()
            }
            let decoded = Decoded(chunks: pieces.map { Decoded.delta(#"{"content":"\#($0)"}"#) } + [Decoded.delta("{}", finish: "stop")])
            #expect(decoded.text == text, "\(pieces)")
        }
    }

    // MARK: Unknown forms

    @Test("Data of an unknown form is an error", arguments: ["nonsense", "7", #""text""#, "{", #"{"choices":{}}"#, "true"])
    func whatNobodyKnowsIsAnError(data: String) {
        let heard = Heard("data: \(data)\n\n" + OddStream.text)
        #expect(heard.status == .failed && heard.code == "llm_invalid_response", "\(heard)")
    }

    @Test("Cached and reasoning token counts are kept")
    func countsOfTheCacheAndOfReasoningAreKept() {
        func usage(_ members: String) -> TokenUsage? {
            Heard(
                OddStream.bare.replacing(
                    OddStream.mark,
                    with: #"data: {"usage":{"prompt_tokens":9,"completion_tokens":12\#(members)}}"# + "\n\n" + OddStream.mark)
            ).usage
        }
        let details = #","prompt_tokens_details":{"cached_tokens":5},"completion_tokens_details":{"reasoning_tokens":7}"#
        #expect(usage(details) == TokenUsage(promptTokens: 9, completionTokens: 12, cachedTokens: 5, reasoningTokens: 7))
        #expect(usage(#","prompt_cache_hit_tokens":4"#) == TokenUsage(promptTokens: 9, completionTokens: 12, cachedTokens: 4))
        #expect(
            usage(#","prompt_tokens_details":null,"completion_tokens_details":[]"#) == TokenUsage(promptTokens: 9, completionTokens: 12))
        #expect(usage(#","cached_tokens":-1"#)?.cachedTokens == 0)
    }
}
