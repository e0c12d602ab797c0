import JSONText
import NIOCore

/// Joins user messages that follow each other, as after a step that failed: the templates of some
/// models refuse a conversation in which user and assistant do not take turns.
enum UserMessageJoiner {
    /// Returns one message for several.
    ///
    /// - Returns: Nil if a message has members that another one cannot take over.
    static func join(_ messages: [ByteBuffer]) -> ByteBuffer? {
        var contents: [JSONSlice] = []
        for message in messages {
            guard let slice = try? JSONSlice(parsing: message), let content = slice["content"],
                content.kind == .string || content.kind == .array, slice.members.allSatisfy({ $0.key == "role" || $0.key == "content" })
            else { return nil }
            contents.append(content)
        }
        return ChatMessage.user(content: contents.allSatisfy { $0.kind == .string } ? text(contents) : parts(contents))
    }

    /// Returns one string, with a blank line between two texts.
    private static func text(_ contents: [JSONSlice]) -> ByteBuffer {
        var json = ByteBuffer()
        json.writeStaticString("\"")
        for (index, content) in contents.enumerated() {
            if index > 0 { json.writeStaticString(#"\n\n"#) }
            // Without its quotation marks.
            json.writeImmutableBuffer(
                content.raw.getSlice(at: content.raw.readerIndex + 1, length: content.raw.readableBytes - 2) ?? ByteBuffer())
        }
        json.writeStaticString("\"")
        return json
    }

    /// Returns one list of content parts.
    private static func parts(_ contents: [JSONSlice]) -> ByteBuffer {
        var json = ByteBuffer()
        json.writeStaticString("[")
        var isFirst = true
        func separate() {
            if !isFirst { json.writeStaticString(",") }
            isFirst = false
        }
        for content in contents {
            if content.kind == .string {
                separate()
                json.writeStaticString(#"{"type":"text","text":"#)
                json.writeImmutableBuffer(content.raw)
                json.writeStaticString("}")
            } else {
                for part in content.elements {
                    separate()
                    json.writeImmutableBuffer(part.text.buffer)
                }
            }
        }
        json.writeStaticString("]")
        return json
    }
}
