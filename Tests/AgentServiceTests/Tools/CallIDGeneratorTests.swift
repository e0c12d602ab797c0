import NIOCore
import TestSupport
import Testing

@testable import AgentService
@testable import LanguageModels

@Suite("Call ids")
struct CallIDGeneratorTests {
    private func used(_ messages: ByteBuffer...) -> UsedCallIDs {
        var ids = UsedCallIDs()
        // The history arrives page by page.
        for message in messages { ids.add([message]) }
        return ids
    }

    @Test(
        "A used id is found in each spelling of its result",
        arguments: ["call_0", "", "a/b", "a\"b", "a\\b", "\\/", "ü", "\u{2028}", "\u{85}", "\u{7F}", "\u{1}", "\n", "😀"]
    )
    func aUsedIDIsFoundHoweverItsResultWasWritten(id: String) {
        let other = ChatMessage.tool(callID: "other", content: ByteBuffer(string: "x"))
        for written in [ChatMessage.tool(callID: id, content: ByteBuffer(string: "x")), StepStateMachineHistoryTests.closed(id)] {
            #expect(used(other, written).contains(id))
            #expect(!used(other, written).contains(id + "x"))
            #expect(!used(other, written).contains("x" + id))
        }
        #expect(!used(other).contains(id))
        #expect(!used().contains(id))
    }

    @Test("Text that looks like a result is not one")
    func textThatLooksLikeAResultIsNone() {
        let text = ChatMessage.user(content: ByteBuffer(string: JSON.string(#""tool_call_id":"a/b""#).text))
        let result = ChatMessage.tool(callID: "x", content: ByteBuffer(string: #"{"tool_call_id":"a/b"}"#))
        #expect(!used(text, result).contains("a/b"))
        #expect(!used(text, result).contains("a"))
    }

    /// A person or another program has edited the history.
    @Test(
        "An edited result is found as well",
        arguments: [
            #"{"tool_call_id":"a/b","role":"tool","content":"x"}"#, #"{ "role": "tool", "content": "x", "tool_call_id": "a\/b" }"#,
            #"{"role":"tool","content":"\"","tool_call_id":"a\u002fb"}"#, #"{"role":"tool","name":"x","tool_call_id":"a/b"}"#,
        ]
    )
    func aResultThatSomebodyHasEditedIsFoundAsWell(text: String) {
        let ids = used(ByteBuffer(string: text))
        #expect(ids.contains("a/b") && !ids.contains("x"))
    }

    @Test(
        "Text that is not a message has no id",
        arguments: ["", "{", #"{"role":"tool""#, #"{"role":"tool","tool_call_id":"#, #"{"role":"tool","tool_call_id":""#, "[]", "null"]
    )
    func whatIsNoMessageHasNoID(text: String) {
        let ids = used(ByteBuffer(string: text))
        #expect(!ids.contains("") && !ids.contains("tool"))
    }

    /// The generator keeps a set of hashes: 128 lookups of ids in 100 MB with 20,000 calls do not
    /// read the messages.
    @Test("A lookup takes constant time in a history of any length")
    func askingTakesNoTimeHoweverLongTheHistoryIs() {
        let content = ByteBuffer(string: String(repeating: "x", count: 5000))
        var ids = UsedCallIDs()
        for index in 0..<20_000 { ids.add([ChatMessage.tool(callID: "call_\(index)", content: content)]) }
        let begun = ContinuousClock.now
        let found = (0..<20_128).suffix(256).filter { ids.contains("call_\($0)") }
        #expect(found.count == 128)
        #expect(ContinuousClock.now - begun < .milliseconds(100))
    }

    @Test("New ids differ and fit every provider")
    func freshIDsDiffer() {
        let ids = Set((0..<1000).map { _ in CallIDGenerator.make() })
        #expect(ids.count == 1000)
        // Mistral accepts only this form, and every provider accepts it.
        #expect(ids.allSatisfy { $0.wholeMatch(of: /[a-zA-Z0-9]{9}/) != nil })
    }
}
