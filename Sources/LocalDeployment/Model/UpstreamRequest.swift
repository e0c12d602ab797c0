public import NIOCore

/// A request that reached the model upstream.
public struct UpstreamRequest: Sendable {
    public var path: String
    public var headers: [String: String]
    public var raw: ByteBuffer
    public var body: JSON

    public var messages: [JSON] { body["messages"].array }
    public var lastContent: String { messages.last?["content"].string ?? "" }

    /// What OpenAI would refuse the request for; nil when it is fine.
    public var violation: String? {
        guard body["model"].string?.isEmpty == false else { return "model is missing" }
        guard !messages.isEmpty else { return "messages is empty" }
        if body["stream"].bool == true {
            if body["stream_options"]["include_usage"].bool != true { return "stream_options.include_usage is not set" }
        } else if !body["stream_options"].isNull {
            return "stream_options is only allowed with stream"
        }
        if case .array(let tools) = body["tools"] {
            if tools.isEmpty { return "tools is an empty array" }
            for tool in tools where tool["type"].string != "function" || tool["function"]["name"].string == nil {
                return "a tool is malformed: \(tool)"
            }
        }
        let unknown = Set(body.object.keys).subtracting(["model", "messages", "stream", "stream_options", "tools"])
            .subtracting(["reasoning_effort", "temperature", "max_completion_tokens", "parallel_tool_calls", "tool_choice", "seed"])
        if !unknown.isEmpty { return "unknown fields: \(unknown.sorted())" }
        return Conversation.violation(messages)
    }
}

/// The rules of a conversation that OpenAI accepts (I1).
public enum Conversation {
    public static func violation(_ messages: [JSON]) -> String? {
        var open: Set<String> = []
        var used: Set<String> = []
        for (index, message) in messages.enumerated() {
            let path = "messages[\(index)]"
            let allowed: Set<String> = ["role", "content", "tool_calls", "tool_call_id", "name"]
            let unknown = Set(message.object.keys).subtracting(allowed)
            if !unknown.isEmpty { return "\(path) has unknown fields \(unknown.sorted())" }
            let role = message["role"].string
            if role != "tool", !open.isEmpty { return "\(path): the calls \(open.sorted()) have no answer" }
            switch role {
            case "system", "developer":
                if index > 0 { return "\(path): a system message that is not the first" }
                if message["content"].string == nil { return "\(path).content is missing" }
            case "user":
                if message["content"].string == nil, message["content"].array.isEmpty { return "\(path).content is missing" }
            case "assistant":
                let calls = message["tool_calls"].array
                if message.object["tool_calls"] != nil, calls.isEmpty { return "\(path).tool_calls is empty" }
                if message["content"].string == nil, calls.isEmpty { return "\(path).content is missing" }
                for call in calls {
                    guard let id = call["id"].string, !id.isEmpty, call["type"].string == "function" else {
                        return "\(path): a call is malformed"
                    }
                    guard used.insert(id).inserted else { return "\(path): the call id \(id) was used before" }
                    open.insert(id)
                    guard id.utf8.count <= 40 else { return "\(path): the call id \(id) has more than 40 characters" }
                    guard let name = call["function"]["name"].string, name.wholeMatch(of: /[a-zA-Z0-9_-]{1,64}/) != nil else {
                        return "\(path): the name of a call does not match ^[a-zA-Z0-9_-]{1,64}$"
                    }
                    guard let text = call["function"]["arguments"].string, case .object = try? JSON(text) else {
                        return "\(path): arguments are not a JSON object"
                    }
                }
            case "tool":
                guard let id = message["tool_call_id"].string, open.remove(id) != nil else {
                    return "\(path): a tool message for no open call"
                }
                if message["content"].string == nil, message["content"].array.isEmpty { return "\(path).content is missing" }
            default:
                return "\(path).role is \(message["role"])"
            }
        }
        return open.isEmpty ? nil : "the calls \(open.sorted()) have no answer"
    }
}
