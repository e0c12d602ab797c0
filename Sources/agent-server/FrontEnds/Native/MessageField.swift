import AgentService
import JSONText
import LanguageModels
import NIOCore
import SessionStore

/// The `message` of a request: a user message, a tool's result, or a retry.
enum MessageField {
    /// The length, in bytes, of the longest call id that a request may contain.
    private static let maximumCallIDBytes = 128

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
            return try toolResult(callID: callID, toolName: toolName, Outcome(result: result, error: error, content: content))
        case "retry":
            guard let replace, !replace.isNull else { return .retry }
            guard replace.kind == .object else { throw RequestError("message.replace must be an object") }
            return .replacement(ChatMessage.user(content: try userContent(replace["content"], of: "message.replace.content")))
        default:
            throw RequestError("message.type must be \"user_message\", \"tool_result\" or \"retry\"")
        }
    }

    /// A string, or OpenAI content parts.
    private static func userContent(
        _ content: JSONSlice?, of field: String = "message.content"
    ) throws(RequestError) -> ByteBuffer {
        guard let content, !content.isNull else { throw RequestError("\(field) is missing") }
        switch content.kind {
        case .string: return content.raw
        case .array: return try contentParts(content, of: field)
        default: throw RequestError("\(field) must be a string or an array of content parts")
        }
    }

    /// OpenAI content parts: a non-empty array of objects that each have a `type`.
    private static func contentParts(_ content: JSONSlice, of field: String) throws(RequestError) -> ByteBuffer {
        var count = 0
        for part in content.elements {
            guard part.kind == .object, part["type"]?.string?.isEmpty == false else {
                throw RequestError("\(field)[\(count)] must be an object with a type")
            }
            count += 1
        }
        guard count > 0 else { throw RequestError("\(field) must not be an empty array") }
        return content.text.buffer
    }

    /// What a tool gave: one of three members.
    private struct Outcome {
        var result: JSONSlice?
        var error: JSONSlice?
        /// Content parts. What is not an array here has never meant anything.
        var parts: JSONSlice?

        /// The original always sends `result` and `error`, the unused one as null.
        init(result: JSONSlice?, error: JSONSlice?, content: JSONSlice?) {
            self.result = result
            self.error = error.flatMap { $0.isNull ? nil : $0 }
            parts = content.flatMap { $0.kind == .array ? $0 : nil }
        }

        func message(callID: String) throws(RequestError) -> ByteBuffer {
            if let parts {
                guard error == nil, result?.isNull ?? true else { throw RequestError("message has content beside a result or an error") }
                return ChatMessage.tool(callID: callID, parts: try contentParts(parts, of: "message.content"))
            }
            return ChatMessage.tool(callID: callID, content: try text)
        }

        private var text: ByteBuffer {
            get throws(RequestError) {
                if let error {
                    guard result?.isNull ?? true else { throw RequestError("message has both a result and an error") }
                    guard let reason = error.string else { throw RequestError("message.error must be a string") }
                    return ByteBuffer(string: "error: \(reason)")
                }
                guard let result else { throw RequestError("message.result is missing") }
                return result.string.map { ByteBuffer(string: $0) } ?? result.text.buffer
            }
        }
    }

    private static func toolResult(
        callID: JSONSlice?, toolName: JSONSlice?, _ outcome: Outcome
    ) throws(RequestError) -> BeginStep.Input {
        guard let callID, !callID.isNull else { throw RequestError("message.call_id is missing") }
        guard let id = callID.string, !id.isEmpty, id.utf8.count <= maximumCallIDBytes else {
            throw RequestError("message.call_id must be a string of 1–\(maximumCallIDBytes) bytes")
        }
        var name: String?
        if let toolName, !toolName.isNull {
            guard let text = toolName.string, !text.isEmpty else { throw RequestError("message.tool_name must be a non-empty string") }
            name = text
        }
        return .toolResult(try outcome.message(callID: id), callID: id, toolName: name)
    }
}
