import NIOCore
import SessionStore

/// The `message` of a request: a user message, a tool's result, or a retry.
enum MessageField {
    static func input(_ message: JSONSlice) throws(RequestError) -> BeginStep.Input {
        guard message.kind == .object else { throw RequestError("message must be an object") }
        var type: JSONSlice?
        var content: JSONSlice?
        var callID: JSONSlice?
        var toolName: JSONSlice?
        var result: JSONSlice?
        var error: JSONSlice?
        var replace: JSONSlice?
        for member in message.members {
            switch member.key {
            case "type": type = member.value
            case "content": content = member.value
            case "call_id": callID = member.value
            case "tool_name": toolName = member.value
            case "result": result = member.value
            case "error": error = member.value
            case "replace": replace = member.value
            default: continue
            }
        }
        let kind = type.flatMap { $0.isNull ? nil : $0 }
        switch kind.map({ $0.string }) {
        case nil, "user_message":
            return .user(ChatMessage.user(content: try userContent(content)))
        case "tool_result":
            return try toolResult(callID: callID, toolName: toolName, result: result, error: error)
        case "retry":
            guard let replace, !replace.isNull else { return .retry }
            guard replace.kind == .object else { throw RequestError("message.replace must be an object") }
            return .replacement(ChatMessage.user(content: try userContent(replace["content"], of: "message.replace.content")))
        default:
            throw RequestError("message.type must be \"user_message\", \"tool_result\" or \"retry\"")
        }
    }

    /// A string, or OpenAI content parts: a non-empty array of objects that each have a `type`.
    private static func userContent(
        _ content: JSONSlice?, of field: String = "message.content"
    ) throws(RequestError) -> ByteBuffer {
        guard let content, !content.isNull else { throw RequestError("\(field) is missing") }
        switch content.kind {
        case .string:
            return content.raw
        case .array:
            var count = 0
            for part in content.elements {
                guard part.kind == .object, part["type"]?.string?.isEmpty == false else {
                    throw RequestError("\(field)[\(count)] must be an object with a type")
                }
                count += 1
            }
            guard count > 0 else { throw RequestError("\(field) must not be an empty array") }
            return content.text.buffer
        default:
            throw RequestError("\(field) must be a string or an array of content parts")
        }
    }

    private static func toolResult(
        callID: JSONSlice?, toolName: JSONSlice?, result: JSONSlice?, error: JSONSlice?
    ) throws(RequestError) -> BeginStep.Input {
        guard let callID, !callID.isNull else { throw RequestError("message.call_id is missing") }
        guard let id = callID.string, !id.isEmpty, id.utf8.count <= CallID.maximumClientBytes else {
            throw RequestError("message.call_id must be a string of 1–\(CallID.maximumClientBytes) bytes")
        }
        var name: String?
        if let toolName, !toolName.isNull {
            guard let text = toolName.string, !text.isEmpty else { throw RequestError("message.tool_name must be a non-empty string") }
            name = text
        }
        let failure = error.flatMap { $0.isNull ? nil : $0 }
        let text: ByteBuffer
        if let failure {
            // The original always sends both fields, the unused one as null.
            guard result?.isNull ?? true else { throw RequestError("message has both a result and an error") }
            guard let reason = failure.string else { throw RequestError("message.error must be a string") }
            text = ByteBuffer(string: "error: \(reason)")
        } else if let result {
            text = result.string.map { ByteBuffer(string: $0) } ?? result.text.buffer
        } else {
            throw RequestError("message.result is missing")
        }
        return .toolResult(ChatMessage.tool(callID: id, content: text), callID: id, toolName: name)
    }
}
