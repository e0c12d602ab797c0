import NIOCore
import TestSupport
import Testing

@testable import LanguageModels

/// A request contains the reasoning that the same model wrote before.
@Suite("Returning reasoning to the model")
struct ReasoningReplayTests {
    private static let history = [
        #"{"role":"system","content":"s"}"#,
        #"{"role":"user","content":"one"}"#,
        #"{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}]}"#,
        #"{"role":"tool","tool_call_id":"c1","content":"c2"}"#,
        #"{"role":"tool","tool_call_id":"c2","content":"r"}"#,
        #"{"role":"assistant","content":"first"}"#,
        #"{"role":"user","content":"two"}"#,
        #"{"role":"assistant","content":"second"}"#,
    ]
    private static let stored = [
        "{}",
        #"{"at":2,"by":"default/m","fields":{"reasoning_content":"th\u0069nk"},"calls":{"c2":{"id":"functions.g:1","extra_content":{"a":[1]}}}}"#,
        #"{"at":7,"by":"default/m","fields":{"reasoning_details":[{"index":0}]},"calls":{}}"#,
    ]

    private func apply(
        _ replay: ReasoningReplay = ReasoningReplay(), _ stored: [String] = stored, by author: String = "default/m",
        history: [String] = history
    ) -> [String] {
        var messages = history.map { ByteBuffer(string: $0) }
        let replayed = replay.apply(stored.map { ByteBuffer(string: $0) }, by: author, to: &messages)
        return messages.enumerated().map { place, message in
            var json = ByteBuffer()
            JSONEdit.write(message, adding: replayed.members(at: place, message), into: &json)
            return String(buffer: json)
        }
    }

    private static let calls =
        #"{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}},"#
        + #"{"id":"functions.g:1","type":"function","function":{"name":"g","arguments":"{}"},"extra_content":{"a":[1]}}]"#

    @Test("All reasoning goes back to the model that said it, byte for byte, under its own call ids")
    func allGoesBack() {
        var expected = Self.history
        expected[2] = Self.calls + #","reasoning_content":"th\u0069nk"}"#
        expected[4] = #"{"role":"tool","tool_call_id":"functions.g:1","content":"r"}"#
        expected[7] = #"{"role":"assistant","content":"second","reasoning_details":[{"index":0}]}"#
        #expect(apply() == expected)
    }

    @Test("Another model gets the plain messages")
    func anotherModelGetsNone() {
        #expect(apply(by: "default/other") == Self.history)
        #expect(apply(by: "other/m") == Self.history)
    }

    @Test("With the loop setting, earlier turns return only the reasoning of their calls")
    func theLoopAlone() {
        var expected = Self.history
        expected[2] = Self.calls + "}"
        expected[4] = #"{"role":"tool","tool_call_id":"functions.g:1","content":"r"}"#
        #expect(apply(ReasoningReplay(scope: .none)) == expected)
        expected[7] = #"{"role":"assistant","content":"second","reasoning_details":[{"index":0}]}"#
        #expect(apply(ReasoningReplay(scope: .loop)) == expected)
    }

    @Test("Where the server requires it, each assistant message without reasoning has an empty member")
    func emptyWhereRequired() {
        let messages = apply(ReasoningReplay(isRequired: true), by: "default/other")
        for (sent, stored) in zip(messages, Self.history) {
            let isAnswer = stored.contains(#""role":"assistant""#)
            #expect(sent == (isAnswer ? stored.dropLast() + #","reasoning_content":""}"# : stored))
        }
        #expect(apply(ReasoningReplay(isRequired: true))[7].hasSuffix(#""content":"second","reasoning_details":[{"index":0}]}"#))
        #expect(apply(ReasoningReplay(isRequired: true))[5].hasSuffix(#","reasoning_content":""}"#))
    }

    @Test(
        "Reasoning that does not fit the history is ignored",
        arguments: [
            "", "nonsense", "[]", "{}", #"{"at":0,"by":"default/m","fields":{"a":1},"calls":{}}"#,
            #"{"at":99,"by":"default/m","fields":{"a":1},"calls":{}}"#, #"{"at":-1,"by":"default/m","fields":{"a":1},"calls":{}}"#,
            #"{"at":1e300,"by":"default/m","fields":{"a":1},"calls":{}}"#, #"{"at":5,"by":"default/m","fields":[1],"calls":[2]}"#,
            #"{"at":2,"by":"default/m","fields":{},"calls":{"c9":{"id":"x"}}}"#, #"{"at":5,"by":"default/m","calls":{"c1":{"id":"x"}}}"#,
            #"{"at":2,"by":"default/m","fields":null,"calls":{"c1":"x"}}"#, #"{"at":2,"by":"default/m","calls":{"c1":{"id":7}}}"#,
        ]
    )
    func whatDoesNotFit(element: String) throws {
        let messages = apply(ReasoningReplay(), [element])
        #expect(try messages.map { try JSON($0) } == Self.history.map { try JSON($0) })
    }

    @Test("An edited history is not damaged further")
    func editedHistories() {
        var edited = Self.history
        edited[7] = "  {  }  "
        edited[2] = #"{"content":null,"tool_calls":"x","role":"assistant"}"#
        let messages = apply(ReasoningReplay(), Self.stored, history: edited)
        #expect(messages[2] == #"{"content":null,"tool_calls":"x","role":"assistant","reasoning_content":"th\u0069nk"}"#)
        #expect(messages[7] == "  {  }  ")
        #expect(apply(ReasoningReplay(), Self.stored, history: ["{", "", "}"]) == ["{", "", "}"])
    }
}
