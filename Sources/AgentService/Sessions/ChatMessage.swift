import Glibc
import JSONText
package import NIOCore
import SessionStore

/// Writes OpenAI chat messages, the stored form of a history. The role always comes first: scripts
/// read it there.
package enum ChatMessage {
    package static func system(_ text: String) -> ByteBuffer {
        var json = ByteBuffer()
        json.writeStaticString(#"{"role":"system","content":"#)
        json.writeJSONString(text)
        json.writeStaticString("}")
        return json
    }

    /// - Parameter content: A JSON string, or an array of content parts, as the client sent it.
    package static func user(content: ByteBuffer) -> ByteBuffer {
        var json = ByteBuffer()
        json.reserveCapacity(content.readableBytes + 32)
        json.writeStaticString(#"{"role":"user","content":"#)
        json.writeImmutableBuffer(content)
        json.writeStaticString("}")
        return json
    }

    /// - Parameter content: The text of the tool's result.
    package static func tool(callID: String, content: ByteBuffer) -> ByteBuffer {
        var json = ByteBuffer()
        json.reserveCapacity(content.readableBytes + content.readableBytes / 8 + 96)
        json.writeStaticString(#"{"role":"tool","tool_call_id":"#)
        json.writeJSONString(callID)
        json.writeStaticString(#","content":"#)
        json.writeJSONString(bytes: content)
        json.writeStaticString("}")
        return json
    }

    /// - Parameter parts: The tool's result as a JSON array of content parts, as the client sent
    ///   it.
    package static func tool(callID: String, parts: ByteBuffer) -> ByteBuffer {
        var json = ByteBuffer()
        json.reserveCapacity(parts.readableBytes + 96)
        json.writeStaticString(#"{"role":"tool","tool_call_id":"#)
        json.writeJSONString(callID)
        json.writeStaticString(#","content":"#)
        json.writeImmutableBuffer(parts)
        json.writeStaticString("}")
        return json
    }

    /// Returns whether a message that this project wrote has the role.
    static func hasRole(_ role: StaticString, _ message: ByteBuffer) -> Bool {
        let start: StaticString = #"{"role":""#
        let end = start.utf8CodeUnitCount + role.utf8CodeUnitCount
        return message.begins(with: start) && message.begins(with: role, at: start.utf8CodeUnitCount) && message.begins(with: "\"", at: end)
    }

    /// - Parameter text: The completion's text; an empty one becomes `null` if there are calls.
    static func assistant(text: ByteBuffer, calls: [ToolCall]) -> ByteBuffer {
        var json = ByteBuffer()
        json.reserveCapacity(text.readableBytes + text.readableBytes / 8 + 64)
        json.writeStaticString(#"{"role":"assistant","content":"#)
        if text.readableBytes == 0, !calls.isEmpty {
            json.writeStaticString("null")
        } else {
            json.writeJSONString(bytes: text)
        }
        if !calls.isEmpty {
            json.writeStaticString(#","tool_calls":["#)
            for (index, call) in calls.enumerated() {
                if index > 0 { json.writeStaticString(",") }
                json.writeStaticString(#"{"id":"#)
                json.writeJSONString(call.id)
                json.writeStaticString(#","type":"function","function":{"name":"#)
                json.writeJSONString(call.name)
                json.writeStaticString(#","arguments":"#)
                json.writeJSONString(bytes: call.arguments)
                json.writeStaticString("}}")
            }
            json.writeStaticString("]")
        }
        json.writeStaticString("}")
        return json
    }
}

extension ByteBuffer {
    /// Returns whether `text` stands `offset` bytes behind the first readable byte. Each message of
    /// a history passes here with every request, so the bytes are compared in place.
    func begins(with text: StaticString, at offset: Int = 0) -> Bool {
        withUnsafeReadableBytes { bytes in
            let length = text.utf8CodeUnitCount
            guard bytes.count >= offset + length, let start = bytes.baseAddress else { return length == 0 && bytes.count >= offset }
            return memcmp(start + offset, text.utf8Start, length) == 0
        }
    }
}
