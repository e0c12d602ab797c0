import JSONText
import NIOCore
import SessionStore

/// Joins user messages that follow each other, as after a step that failed: the templates of some models refuse a conversation in
/// which user and assistant do not take turns.
enum UserMessageJoiner {
    /// The same conversation, with one message for each run of user messages. What cannot be joined stays as it is.
    static func joined(_ messages: [ByteBuffer]) -> [ByteBuffer] {
        var joined: [ByteBuffer] = []
        joined.reserveCapacity(messages.count)
        var start = messages.startIndex
        while start < messages.endIndex {
            var end = start + 1
            if isUser(messages[start]) { while end < messages.endIndex, isUser(messages[end]) { end += 1 } }
            if end - start > 1, let message = join(messages[start..<end]) {
                joined.append(message)
            } else {
                joined.append(contentsOf: messages[start..<end])
            }
            start = end
        }
        return joined
    }

    /// Whether two messages stand beside each other that could be joined: most conversations have none.
    static func isNeeded(_ messages: [ByteBuffer]) -> Bool {
        zip(messages, messages.dropFirst()).contains { isUser($0) && isUser($1) }
    }

    private static func isUser(_ message: ByteBuffer) -> Bool { ChatMessage.hasRole("user", message) }

    /// - Returns: Nil where a message has members that another one could not take over.
    private static func join(_ messages: ArraySlice<ByteBuffer>) -> ByteBuffer? {
        var contents: [JSONSlice] = []
        for message in messages {
            guard let slice = try? JSONSlice(parsing: message), let content = slice["content"],
                content.kind == .string || content.kind == .array, slice.members.allSatisfy({ $0.key == "role" || $0.key == "content" })
            else { return nil }
            contents.append(content)
        }
        return ChatMessage.user(content: contents.allSatisfy { $0.kind == .string } ? text(contents) : parts(contents))
    }

    /// One string, with a blank line between two texts.
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

    /// One list of content parts.
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
