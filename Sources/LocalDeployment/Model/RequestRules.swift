/// What a model server demands of a request. The defaults are what OpenAI demands of a request
/// without parameters.
struct RequestRules: Sendable {
    /// Members that a request may have in addition to `model`, `messages`, `stream`,
    /// `stream_options` and `tools`.
    var parameters: Set<String> = []
    /// How the server treats `stream_options` in a streamed request.
    var streamOptions = ConversationRules.Demand.taken
    var conversation = ConversationRules()

    /// Parameters that nearly every server accepts.
    static let common: Set<String> = [
        "frequency_penalty", "max_completion_tokens", "max_tokens", "metadata", "parallel_tool_calls", "presence_penalty",
        "reasoning_effort", "response_format", "seed", "stop", "temperature", "tool_choice", "top_p", "user",
    ]

    /// Describes why the server refuses a request.
    ///
    /// - Returns: Nil if it accepts the request.
    func refusal(of request: UpstreamRequest) -> Refusal? {
        let body = request.body
        guard body["model"].string?.isEmpty == false else { return Refusal("model is missing", member: "model") }
        guard !request.messages.isEmpty else { return Refusal("messages is empty", member: "messages") }
        if let refusal = refusalOfStreamOptions(in: body) ?? refusalOfTools(in: body) { return refusal }
        let known = parameters.union(["model", "messages", "stream", "stream_options", "tools"])
        let unknown = Set(body.object.keys).subtracting(known).sorted()
        if let first = unknown.first { return Refusal("unknown fields: \(unknown)", member: first) }
        return conversation.violation(in: request.messages).map { Refusal($0, member: "messages") }
    }

    private func refusalOfStreamOptions(in body: JSON) -> Refusal? {
        func refusal(_ message: String) -> Refusal { Refusal(message, member: "stream_options") }
        guard body["stream"].bool == true else {
            return body["stream_options"].isNull ? nil : refusal("stream_options is only allowed with stream")
        }
        switch streamOptions {
        case .wanted where body["stream_options"]["include_usage"].bool != true:
            return refusal("stream_options.include_usage is not set")
        case .refused where !body["stream_options"].isNull:
            return refusal("stream_options: Extra inputs are not permitted")
        case .wanted, .taken, .refused:
            return nil
        }
    }

    private func refusalOfTools(in body: JSON) -> Refusal? {
        guard case .array(let tools) = body["tools"] else { return nil }
        if tools.isEmpty { return Refusal("tools is an empty array", member: "tools") }
        let malformed = tools.first { $0["type"].string != "function" || $0["function"]["name"].string == nil }
        return malformed.map { Refusal("a tool is malformed: \($0)", member: "tools") }
    }
}
