import NIOCore
import TestSupport
import Testing

@testable import LanguageModels

/// The server sends consecutive user messages as one message, because some templates require that
/// user and assistant alternate.
@Suite("Joining user messages")
struct UserMessageJoinerTests {
    private func joined(_ messages: String...) throws -> [JSON] {
        var body = ByteBuffer(string: "[")
        _ = OutgoingMessages.write(messages.map { ByteBuffer(string: $0) }, form: RequestForm(), fillsGaps: false, into: &body)
        body.writeStaticString("]")
        return try JSON(parsing: body).array
    }

    @Test("Texts are joined with a blank line")
    func textsAreJoinedWithABlankLine() throws {
        let messages = try joined(
            #"{"role":"system","content":"s"}"#, #"{"role":"user","content":"a\"b"}"#, #"{"role":"user","content":"c\u00e9"}"#,
            #"{"role":"assistant","content":"x"}"#, #"{"role":"user","content":"d"}"#)
        #expect(messages.map { $0["content"] } == ["s", "a\"b\n\nc\u{e9}", "x", "d"])
    }

    @Test("Parts and texts are joined")
    func partsAreJoinedWithTexts() throws {
        let image = #"{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}"#
        let messages = try joined(
            #"{"role":"user","content":"look"}"#, #"{"role":"user","content":[\#(image),{"type":"text","text":"here"}]}"#,
            #"{"role":"user","content":"and"}"#)
        #expect(messages.count == 1)
        #expect(messages[0]["content"].array.map { $0["type"] } == ["text", "image_url", "text", "text"])
        #expect(messages[0]["content"].array.map { $0["text"] } == ["look", .null, "here", "and"])
    }

    /// A message with a `name` is not joined with others.
    @Test("Messages that cannot be joined stay separate")
    func whatCannotBeJoinedStays() throws {
        #expect(try joined(#"{"role":"user","content":"a","name":"n"}"#, #"{"role":"user","content":"b"}"#).count == 2)
        #expect(try joined().isEmpty)
    }
}
