import NIOCore
import SessionStore
import Testing

@testable import LanguageModels

/// Tests which finish reason a client gets for each reason of a server.
@Suite("Finish reasons")
struct FinishReasonTests {
    static let words: [(FinishReason, [String])] = [
        (.stop, ["stop", "STOP", "end_turn", "eos", "eos_token", "stop_sequence", "COMPLETE", "normal", "FINISH_REASON_STOP"]),
        (.toolCalls, ["tool_calls", "function_call", "tool_use", "TOOL_CALL", "tool-calls"]),
        (
            .length,
            ["length", "max_tokens", "MAX_TOKENS", "model_length", "model_context_window_exceeded", "max_output_tokens", "token_limit"]
        ),
        (
            .contentFilter,
            [
                "content_filter", "content-filter", "SAFETY", "RECITATION", "refusal", "sensitive", "BLOCKLIST", "PROHIBITED_CONTENT",
                "SPII",
                "guardrail_intervened",
            ]
        ),
    ]
    static let failures = [
        "error", "ERROR", "network_error", "insufficient_system_resource", "abort", "malformed_function_call", "MALFORMED_FUNCTION_CALL",
        "function_call_filter: MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "timeout", "cancelled",
    ]
    static let unknown = ["OTHER", "pause_turn", "a word of tomorrow", "FINISH_REASON_UNSPECIFIED", "stop it"]

    static func ending(_ word: String, _ delta: String = #"{"content":"half a sen"}"#) -> Heard {
        Heard(OddStream.events([Decoded.delta(delta), Decoded.delta("{}", finish: word)]) + OddStream.mark)
    }

    static let call =
        #"{"content":"so","tool_calls":[{"index":0,"id":"c","function":{"name":"echo","arguments":"{\"text\":\"a very lo"}}]}"#
    static let wholeCall = call.replacing("a very lo", with: #"a\"}"#)

    @Test("Each vendor's finish reason has its meaning", arguments: words)
    func everyVendorsWordHasItsMeaning(meaning: FinishReason, words: [String]) {
        for word in words { #expect(FinishReason(word) == meaning, "\(word)") }
        #expect(FinishReason(meaning.text) == meaning)
    }

    @Test("A placeholder such as \"null\" is not a reason", arguments: ["", " ", "null", "NULL", "None", "undefined"])
    func aWordForNothingIsNoReason(word: String) {
        #expect(FinishReason(word) == nil)
        let heard = Heard(OddStream.events([Decoded.delta(#"{"content":"half"}"#, finish: word)]))
        #expect(heard.code == "llm_unavailable", "\(heard)")
    }

    @Test("An unknown reason is bounded in length")
    func aWordFromOutsideIsBounded() {
        let long = String(repeating: "long ", count: 10_000)
        #expect(FinishReason(long)?.text.count == 64)
        #expect(FinishReason("error")?.text == "error")
    }

    // MARK: What it leads to

    @Test("Truncated text ends with its reason", arguments: ["length", "MAX_TOKENS", "content_filter", "SAFETY"])
    func textThatWasCutIsToldWithItsReason(word: String) {
        let heard = Self.ending(word)
        #expect(heard.status == .completed && heard.text == "half a sen")
        #expect(heard.reason == FinishReason(word)?.text)
        let nothing = Self.ending(word, #"{"content":null}"#)
        #expect(nothing.status == .completed && nothing.text == "" && nothing.reason == heard.reason)
    }

    /// A truncated call looks like a call, but the server does not ask the model again.
    @Test(
        "Truncated calls fail, and nothing of them is offered or stored",
        arguments: [("length", "llm_length"), ("max_tokens", "llm_length"), ("content_filter", "llm_content_filter")], [call, wholeCall]
    )
    func callsThatWereCutFail(word: (reason: String, code: String), delta: String) throws {
        let heard = Self.ending(word.reason, delta)
        #expect(heard.status == .failed && heard.calls.isEmpty && heard.code == word.code, "\(heard)")
        #expect(heard.reason == FinishReason(word.reason)?.text && heard.message.contains("echo"))
        #expect(LLMError.Code(rawValue: word.code)?.isRetryable == false)
    }

    @Test("A reason that means an error fails the step", arguments: failures, [#"{"content":"half a sen"}"#, call, wholeCall, "{}"])
    func aReasonThatIsAnErrorFailsTheStep(word: String, delta: String) {
        let heard = Self.ending(word, delta)
        #expect(heard.status == .failed && heard.code == "llm_error" && heard.calls.isEmpty, "\(heard)")
        #expect(heard.reason == word && heard.message.contains(word))
    }

    @Test("An unknown reason does not end a text", arguments: unknown)
    func aWordThatNobodyKnowsIsNoEnd(word: String) {
        for delta in [#"{"content":"half a sen"}"#, "{}", Self.call, Self.call.replacing(#"{\"text\":\"a very lo"#, with: "")] {
            let heard = Self.ending(word, delta)
            #expect(heard.status == .failed && heard.code == "llm_error" && heard.calls.isEmpty, "\(heard)")
            #expect(heard.reason == word && heard.message.contains(word))
        }
        // If the calls are whole, the completion is not truncated.
        let heard = Self.ending(word, Self.wholeCall)
        #expect(heard.status == .waiting && heard.calls == [#"echo {"text":"a"}"#] && heard.reason == "tool_calls")
    }

    @Test("Whole calls count with any reason", arguments: ["stop", "tool_calls", "end_turn"])
    func callsAreCallsWhateverTheWord(word: String) {
        #expect(Self.ending(word, Self.wholeCall).reason == "tool_calls")
    }

    // MARK: A reason that comes too early

    private static func chunk(_ text: String?, _ reason: String?) -> String {
        OddStream.events([Decoded.delta(text.map { #"{"content":"\#($0)"}"# } ?? #"{"role":"assistant"}"#, finish: reason)])
    }

    @Test("A reason before the text does not end it")
    func aReasonBeforeTheTextDoesNotEndIt() throws {
        var answer = ChatCompletionDecoder(
            expectsStream: true, limits: ResponseLimits(bodyBytes: 1 << 20, errorBytes: 100))
        var events: [LLMEvent] = []
        try answer.receiveHead(status: 200, contentType: nil)
        func receive(_ text: String) throws -> ResponseProgress {
            try answer.receiveBody(ByteBuffer(string: text), into: &events)
        }
        // No text has arrived yet, and the model may still send some.
        #expect(try receive(Self.chunk(nil, "stop")) == .more)
        #expect(try receive(Self.chunk("one ", "stop")) == .more)
        #expect(try receive(Self.chunk("two ", "stop")) == .more)
        var lost = answer
        var rest: [LLMEvent] = []
        let isComplete = lost.receiveLoss(into: &rest)
        #expect(!isComplete && rest.isEmpty)
        var ended = answer
        try ended.receiveEnd(into: &rest)
        #expect(rest == [.finish(.stop)])
        #expect(try receive(OddStream.mark) == .finished)
        #expect(events == [.textDelta("one "), .textDelta("two "), .finish(.stop)])
    }

    @Test("Text after a reason discredits the reason")
    func aReasonIsDiscreditedByWhatFollows() {
        let late = Self.chunk("one ", "stop") + Self.chunk("two", nil)
        #expect(Heard(late, isLost: true).code == "llm_unavailable")
        #expect(Heard(late).status == .completed && Heard(late).text == "one two")
        #expect(Heard(late + OddStream.mark, isLost: true).text == "one two")
        // If the completion has ended, the last reason counts.
        let cut = Heard(late + Self.chunk(nil, "length") + OddStream.mark)
        #expect(cut.status == .completed && cut.reason == "length")
        #expect(Heard(late + Self.chunk(nil, "stop"), isLost: true).code == "llm_unavailable")
        let call = Self.chunk("one", "stop") + OddStream.events([Decoded.delta(Self.wholeCall)])
        #expect(Heard(call, isLost: true).code == "llm_unavailable")
        #expect(Heard(call + OddStream.mark).status == .waiting)
    }

    @Test("A connection lost before any text is a failure")
    func aLossWhereNothingWasSaidIsOne() {
        #expect(Heard(Self.chunk(nil, "stop"), isLost: true).code == "llm_unavailable")
        #expect(Heard(Self.chunk(nil, "stop")).status == .completed)
        #expect(Heard(Self.chunk(nil, "content_filter"), isLost: true).reason == "content_filter")
    }
}
