import NIOCore
import TestSupport
import Testing

@testable import AgentService

@Suite struct CallIDsTests {
    @Test(arguments: ["call_0", "", "a/b", "a\"b", "a\\b", "\\/", "ü", "\u{2028}", "\u{85}", "\u{7F}", "\u{1}", "\n", "😀"])
    func aUsedIDIsFoundHoweverItsResultWasWritten(id: String) {
        let other = ChatMessage.tool(callID: "other", content: ByteBuffer(string: "x"))
        for written in [ChatMessage.tool(callID: id, content: ByteBuffer(string: "x")), TurnMachineHistoryTests.closed(id)] {
            #expect(CallIDs.isUsed(id, in: [other, written]))
            #expect(!CallIDs.isUsed(id + "x", in: [other, written]))
            #expect(!CallIDs.isUsed("x" + id, in: [other, written]))
        }
        #expect(!CallIDs.isUsed(id, in: [other]))
        #expect(!CallIDs.isUsed(id, in: []))
    }

    @Test func textThatLooksLikeAResultIsNone() {
        let text = ChatMessage.user(content: ByteBuffer(string: JSON.string(#""tool_call_id":"a/b""#).text))
        let result = ChatMessage.tool(callID: "x", content: ByteBuffer(string: #"{"tool_call_id":"a/b"}"#))
        #expect(!CallIDs.isUsed("a/b", in: [text, result]))
        #expect(!CallIDs.isUsed("a", in: [text, result]))
    }

    @Test func freshIDsDiffer() {
        let ids = Set((0..<1000).map { _ in CallIDs.make() })
        #expect(ids.count == 1000)
        #expect(ids.allSatisfy { $0.hasPrefix("call_") && $0.utf8.count == 29 && $0.utf8.allSatisfy { $0 < 0x80 } })
    }
}
