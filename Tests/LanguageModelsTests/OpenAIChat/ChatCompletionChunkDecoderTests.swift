import NIOCore
import Testing

@testable import LanguageModels

@Suite("Decoding one chunk")
struct ChatCompletionChunkDecoderTests {
    static func decode(_ chunks: String..., isMarked: Bool = true) -> Decoded { Decoded(chunks: chunks, isMarked: isMarked) }

    @Test("Every text delta is one event, and the end comes last")
    func everyTokenIsOneEventAndTheEndComesLast() {
        let decoded = Self.decode(
            Decoded.delta(#"{"role":"assistant","content":""}"#), Decoded.delta(#"{"content":"Hel"}"#),
            Decoded.delta(#"{"content":"lo 😀\n"}"#),
            Decoded.delta("{}", finish: "stop"), #"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#)
        #expect(
            decoded.events == [
                .textDelta("Hel"), .textDelta("lo 😀\n"), .usage(TokenUsage(promptTokens: 9, completionTokens: 2)), .finish(.stop),
            ])
        #expect(decoded.error == nil)
    }

    @Test(
        "Content may be text or parts",
        arguments: [
            (#""text""#, "text"), ("null", ""), (#"[{"type":"text","text":"a"},{"type":"text","text":"b"}]"#, "ab"), (#"["a","b"]"#, "ab"),
            (#"[{"type":"refusal","refusal":"no"}]"#, "no"), (#"[{"type":"image_url","image_url":{"url":"x"}},null,7]"#, ""), ("[]", ""),
            (#"[{"type":"text","text":null}]"#, ""), (#""\ud83d\ude00 \u0000""#, "😀 \0"),
        ]
    )
    func contentMayBeTextOrParts(content: String, text: String) {
        let decoded = Self.decode(Decoded.delta(#"{"content":\#(content)}"#), Decoded.delta("{}", finish: "stop"))
        #expect(decoded.error == nil)
        #expect(decoded.text == text)
        #expect(!decoded.events.contains(.textDelta("")))
    }

    @Test("A refusal is text")
    func aRefusalIsText() {
        #expect(Self.decode(Decoded.delta(#"{"refusal":"I can't"}"#, finish: "stop")).text == "I can't")
    }

    @Test("The decoder reads the first choice and ignores the others")
    func otherChoicesAreIgnored() {
        let decoded = Self.decode(
            #"{"choices":[{"index":1,"delta":{"content":"B"},"finish_reason":"length"},{"index":0,"delta":{"content":"A"}}]}"#,
            #"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#)
        #expect(decoded.events == [.textDelta("A"), .finish(.stop)])
    }

    // MARK: The end

    @Test(
        "Finish reasons are read",
        arguments: [
            ("stop", FinishReason.stop), ("length", .length), ("tool_calls", .toolCalls), ("function_call", .toolCalls),
            ("content_filter", .contentFilter), ("eos_token", .stop), ("error", .failure("error")), ("tomorrow", .unknown("tomorrow")),
        ]
    )
    func finishReasonsAreRead(word: String, reason: FinishReason) {
        #expect(Self.decode(Decoded.delta(#"{"content":"x"}"#, finish: word)).events.last == .finish(reason))
        #expect(FinishReason(reason.text) == reason)
    }

    @Test("A completion with calls that ends with stop ends with tool_calls")
    func callsThatEndWithStopEndWithToolCalls() {
        let call = Decoded.calls(#"{"index":0,"id":"c","function":{"name":"f","arguments":"{}"}}"#)
        #expect(Self.decode(call, Decoded.delta("{}", finish: "stop")).events.last == .finish(.toolCalls))
        #expect(Self.decode(call, Decoded.delta("{}", finish: "length")).events.last == .finish(.length))
    }

    @Test("An end mark needs no reason after some text")
    func aMarkedEndNeedsNoReasonWhereSomethingWasSaid() {
        #expect(Self.decode(Decoded.delta(#"{"content":"x"}"#)).events == [.textDelta("x"), .finish(.stop)])
        #expect(Self.decode(Decoded.delta(#"{"content":"x"}"#), isMarked: false).error == .unavailable)
        #expect(Self.decode(Decoded.delta(#"{"content":""}"#)).error == .unavailable)
        #expect(Self.decode().error == .unavailable)
        #expect(Self.decode(Decoded.delta("{}", finish: ""), isMarked: false).error == .unavailable)
    }

    @Test("An end without a mark needs a reason")
    func anUnmarkedEndNeedsAReason() {
        #expect(
            Self.decode(Decoded.delta(#"{"content":"x"}"#, finish: "stop"), isMarked: false).events == [.textDelta("x"), .finish(.stop)])
    }

    // MARK: Usage

    @Test("Usage may come in any chunk and more than once")
    func usageMayComeAnywhereAndMoreThanOnce() {
        let usage = #""usage":{"prompt_tokens":3,"completion_tokens":1}"#
        let before = Self.decode("{\(usage)}", Decoded.delta(#"{"content":"x"}"#, finish: "stop"))
        #expect(before.events == [.usage(TokenUsage(promptTokens: 3, completionTokens: 1)), .textDelta("x"), .finish(.stop)])
        // In one chunk, usage follows the text that it counts, in any order of the members.
        let same = Self.decode(#"{\#(usage),"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}"#)
        #expect(same.events == [.textDelta("x"), .usage(TokenUsage(promptTokens: 3, completionTokens: 1)), .finish(.stop)])
        let twice = Self.decode(
            "{\(usage)}", #"{"usage":null}"#, #"{"usage":{"completion_tokens":5}}"#, Decoded.delta("{}", finish: "stop"))
        #expect(
            twice.events == [
                .usage(TokenUsage(promptTokens: 3, completionTokens: 1)), .usage(TokenUsage(promptTokens: 3, completionTokens: 5)),
                .finish(.stop),
            ])
    }

    @Test(
        "Token counts are clamped so that sums cannot overflow",
        arguments: [
            ("-1", 0), ("0", 0), ("7.0", 7), ("7.5", 0), ("1e3", 1000), ("1e400", 0), ("9223372036854775807", 1 << 40),
            ("9223372036854775808", 0), ("-9223372036854775809", 0), (#""7""#, 0), ("null", 0), ("[]", 0),
        ]
    )
    func tokenCountsStayInARangeInWhichSumsCannotOverflow(number: String, count: Int) {
        let decoded = Self.decode(
            #"{"usage":{"prompt_tokens":\#(number),"completion_tokens":\#(number)}}"#, Decoded.delta("{}", finish: "stop"))
        #expect(decoded.events.first == .usage(TokenUsage(promptTokens: count, completionTokens: count)))
    }

    // MARK: Data that is not a chunk

    @Test(
        "Data that is not a chunk is an invalid response",
        arguments: [
            "", "nonsense", "{", #"{"choices":[}"#, "[DONE", "\u{FEFF}{}", #"{"choices":[]} {}"#, "7", "[7]", #""text""#, "null",
            #"{"choices":{}}"#, #"{"choices":["x"]}"#, #"{"choices":[{"delta":[]}]}"#, #"{"choices":[{"delta":{"content":true}}]}"#,
            #"{"choices":[{"delta":{"content":{}}}]}"#, #"{"choices":[{"delta":{"tool_calls":7}}]}"#,
            #"{"choices":[{"delta":{"tool_calls":[7]}}]}"#, #"{"choices":[{"delta":{"function_call":[]}}]}"#,
        ]
    )
    func whatIsNoChunkIsAnInvalidResponse(chunk: String) {
        let decoded = Self.decode(Decoded.delta(#"{"content":"before"}"#), chunk)
        #expect(decoded.error == .invalidResponse, "\(chunk)")
        #expect(decoded.events == [.textDelta("before")])
    }

    @Test("A number as content is read as text")
    func aNumberIsText() {
        #expect(Self.decode(Decoded.delta(#"{"content":7.50}"#), Decoded.delta(#"{"content":-1e3}"#)).text == "7.50-1e3")
    }

    @Test("Nesting is bounded")
    func nestingIsBounded() {
        let deep = String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000)
        #expect(Self.decode(#"{"choices":[],"x":\#(deep)}"#).error == .invalidResponse)
    }

    @Test(
        "An error object ends the stream",
        arguments: [
            (#"{"message":"overloaded","type":"server_fault","code":1}"#, "overloaded"), (#""it broke""#, "it broke"),
            (#"{"error":{"message":"inner"}}"#, "inner"), (#"{"detail":"details"}"#, "details"), ("{}", "."), ("7", "."),
        ]
    )
    func anErrorObjectEndsTheStream(error: String, words: String) {
        let decoded = Self.decode(Decoded.delta(#"{"content":"so far"}"#), #"{"error":\#(error)}"#, Decoded.delta("{}", finish: "stop"))
        #expect(decoded.error == .upstream)
        #expect(decoded.message.contains(words))
        #expect(decoded.events == [.textDelta("so far")])
    }

    @Test("An error of null is ignored")
    func anErrorThatIsNullIsNone() {
        #expect(Self.decode(#"{"error":null,"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}"#).error == nil)
    }

    @Test("An upstream's error text becomes one short line")
    func whatAnUpstreamSaysOfAnErrorIsOneShortLine() {
        let long = String(repeating: "many words\\n\\u0007 ", count: 1000)
        let decoded = Self.decode(#"{"error":{"message":"\#(long)"}}"#)
        #expect(decoded.error == .upstream)
        #expect(decoded.message.count < ErrorBody.maxMessageLength + 60)
        #expect(!decoded.message.contains { $0.isNewline || $0 == "\u{7}" })
    }
}
