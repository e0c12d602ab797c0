import JSONText
package import NIOCore

/// A message of a conversation as JSON, in the form of OpenAI's chat completions: so a history is
/// stored, and so a ``LLMRequest`` carries it, whatever the wire format of the model's server.
///
/// The role always comes first: the scripts in Redis and `leadingRole(of:)` tell messages apart by
/// it.
package enum ChatMessage {
    /// Returns the message with the system prompt.
    package static func system(_ text: String) -> ByteBuffer {
        var json = ByteBuffer()
        json.writeStaticString(#"{"role":"system","content":"#)
        json.writeJSONString(text)
        json.writeStaticString("}")
        return json
    }

    /// Returns a user's message.
    ///
    /// - Parameter content: A JSON string, or an array of content parts, as the client sent it.
    package static func user(content: ByteBuffer) -> ByteBuffer {
        var json = ByteBuffer()
        json.reserveCapacity(content.readableBytes + 32)
        json.writeStaticString(#"{"role":"user","content":"#)
        json.writeImmutableBuffer(content)
        json.writeStaticString("}")
        return json
    }

    /// Returns the message with a tool's result.
    ///
    /// - Parameters:
    ///   - callID: The id of the call.
    ///   - content: The text of the result.
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

    /// Returns the message with a tool's result.
    ///
    /// - Parameters:
    ///   - callID: The id of the call.
    ///   - parts: The result as a JSON array of content parts, as the client sent it.
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
}
