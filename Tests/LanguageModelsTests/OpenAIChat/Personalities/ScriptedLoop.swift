import NIOCore
import TestSupport

@testable import LocalDeployment

/// A conversation with a personality, in memory: two rounds of two calls, a text, and the user's
/// next message.
struct ScriptedLoop {
    static let calls: [ScriptedCompletion.Call] = [
        .init("read_file", #"{"path":"a \"b\" 😀.txt"}"#), .init("echo", #"{"text":"a\\b"}"#),
    ]

    let personality: Personality
    /// The conversation, ready to be sent.
    var messages: [JSON]

    init(with personality: Personality) throws {
        self.personality = personality
        messages = [["role": "system", "content": "Be brief."], ["role": "user", "content": "Look."]]
        for round in 0..<2 {
            let message = try sent(ScriptedCompletion(text: round == 0 ? ["One ", "moment."] : [], calls: Self.calls)).stored(round: round)
            messages.append(message)
            for call in message["tool_calls"].array {
                messages.append([
                    "role": "tool", "tool_call_id": call["id"], "name": call["function"]["name"], "content": "the result",
                ])
            }
        }
        messages.append(try sent(ScriptedCompletion(text: ["Two ", "files."])).stored(round: 2))
        messages.append(["role": "user", "content": "And now?"])
    }

    func sent(_ completion: ScriptedCompletion) throws -> SentMessage {
        try SentMessage(personality.answer(completion, to: request(messages)))
    }

    /// Returns a request with the settings that docs/models.md names.
    func request(_ messages: [JSON], _ change: (inout [String: JSON]) -> Void = { _ in }) -> UpstreamRequest {
        var body: [String: JSON] = ["model": "test", "messages": .array(messages), "stream": true]
        body["tools"] = [["type": "function", "function": ["name": "echo", "parameters": ["type": "object"]]]]
        if personality.settings["AGENT_RUNTIME__LLM_STREAM_OPTIONS"] != "false" { body["stream_options"] = ["include_usage": true] }
        let parameters = personality.settings["AGENT_RUNTIME__LLM_PARAMETERS"].flatMap { try? JSON($0).object } ?? [:]
        body.merge(parameters) { $1 }
        change(&body)
        let base = personality.baseURL(at: "").split(separator: "?", omittingEmptySubsequences: false)
        let path =
            switch personality {
            case .plain, .deepseek, .deepseekR1: "/v1/chat/completions"
            default: "\(base.first ?? "")/chat/completions"
            }
        return UpstreamRequest(
            path: path, query: base.count > 1 ? String(base[1]) : nil, raw: ByteBuffer(string: JSON.object(body).text))
    }

    /// Changes the message at an index.
    mutating func change(_ place: Int, _ body: (inout [String: JSON]) -> Void) {
        var members = messages[place].object
        body(&members)
        messages[place] = .object(members)
    }

    /// Changes the first call of the message at an index.
    mutating func changeCall(_ place: Int, _ body: (inout [String: JSON]) -> Void) {
        change(place) { members in
            var calls = members["tool_calls"]?.array ?? []
            guard var call = calls.first?.object else { return }
            body(&call)
            calls[0] = .object(call)
            members["tool_calls"] = .array(calls)
        }
    }

    var refusal: Refusal? { personality.refusal(of: request(messages)) }
    var loss: String? { personality.lostReasoning(in: request(messages)) }
}
