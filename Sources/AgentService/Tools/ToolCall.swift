import JSONText
import LanguageModels
import NIOCore

/// A tool call of a completion, as the history stores it.
struct ToolCall: Sendable, Equatable {
    var id: String
    /// The model's own id, if the history has another one; only this model gets it back.
    var originalID: String?
    /// The index of the call in the completion.
    var index = 0
    var name: String
    /// A JSON object: `{}` if the model's text was none.
    var arguments: ByteBuffer
    /// The model's own text, if it was not a JSON object.
    var invalidArguments: ByteBuffer?
    /// The model's own name for the tool, if models' servers do not accept it.
    var unknownName: String?

    /// Whether the step itself writes the call's result, so that the client never gets the call.
    var needsRepair: Bool { invalidArguments != nil || unknownName != nil }

    /// The part of the call that the client gets.
    var issued: IssuedCall { IssuedCall(id: id, name: name, arguments: arguments) }

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

    /// The tool message that says what was wrong with the call; nil where nothing was.
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
