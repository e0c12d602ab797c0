import JSONText
import LanguageModels
import NIOCore
import SessionStore

/// A tool call as it is stored and sent to the client.
struct ToolCall: Sendable, Equatable {
    var id: String
    /// The model's own id, where that is another one: it goes back to this model alone.
    var originalID: String?
    /// Of the call in the model's answer.
    var index = 0
    var name: String
    /// A JSON object, always: `{}` where the model's text was none.
    var arguments: ByteBuffer
    /// The model's own text, where it was not a JSON object.
    var invalidArguments: ByteBuffer?
    /// The model's own name for the tool, where no server accepts it.
    var unknownName: String?

    /// Whether the call is answered at once, and never reaches the client.
    var needsRepair: Bool { invalidArguments != nil || unknownName != nil }

    /// `{"tool_name":…,"arguments":…,"step":…}`, the value in the hash of pending calls.
    func pendingJSON(step: Int) -> ByteBuffer {
        var json = ByteBuffer()
        json.writeStaticString(#"{"tool_name":"#)
        json.writeJSONString(name)
        json.writeStaticString(#","arguments":"#)
        json.writeImmutableBuffer(arguments)
        json.writeStaticString(#","step":"#)
        json.writeDecimal(step)
        json.writeStaticString("}")
        return json
    }

    /// The tool message that tells the model what was wrong with its call; nil where nothing was.
    var repairMessage: ByteBuffer? {
        var text = ByteBuffer()
        if let unknownName {
            text.writeString("error: there is no tool of this name, so nothing was run. The name was: \(unknownName.prefix(256))")
        } else if var invalid = invalidArguments {
            text.writeStaticString("error: the arguments of this call are not a JSON object, so the tool was not run. They were: ")
            if let head = invalid.readSlice(length: min(invalid.readableBytes, 4096)) { text.writeImmutableBuffer(head) }
        } else {
            return nil
        }
        return ChatMessage.tool(callID: id, content: ByteBuffer(string: String(buffer: text)))
    }
}

extension ChatMessage {
    /// Returns the message with a model's completion.
    ///
    /// - Parameter text: The completion's text; an empty one becomes `null` beside calls.
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
