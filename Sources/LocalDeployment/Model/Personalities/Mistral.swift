/// Mistral sends text as content parts, demands ids of nine letters and digits, and refuses every
/// unknown member.
struct Mistral: Dialect {
    var rules: RequestRules {
        var rules = RequestRules(
            parameters: ["frequency_penalty", "max_tokens", "n", "parallel_tool_calls", "prediction", "presence_penalty"])
        rules.parameters.formUnion(["prompt_mode", "random_seed", "reasoning_effort", "response_format", "safe_prompt", "stop"])
        rules.parameters.formUnion(["temperature", "tool_choice", "top_p"])
        rules.streamOptions = .refused
        rules.conversation.callIDs = .nine
        rules.conversation.takesTurns = true
        return rules
    }

    var sendsUsageWithFinish: Bool { true }

    func callID(_ index: Int, _ thought: Thought) -> String { thought.generation + String(index % 36, radix: 36) }
    func content(_ piece: String) -> JSON { [["type": "text", "text": .string(piece)]] }

    func callDeltas(_ calls: [ScriptedCompletion.Call], _ thought: Thought) -> [JSON] { wholeCallDeltas(calls, thought) }

    /// Encodes a refusal. The status of an unknown member is 422.
    func answer(_ refusal: Refusal) -> UpstreamAnswer {
        let isUnknown = refusal.message.contains("unknown fields") || refusal.member == "stream_options"
        let detail: JSON = [
            "type": "extra_forbidden", "loc": ["body", .string(refusal.member ?? "")], "msg": .string(refusal.message), "input": nil,
        ]
        return .json(
            isUnknown ? 422 : refusal.status,
            [
                "object": "error", "message": isUnknown ? ["detail": [detail]] : .string(refusal.message),
                "type": "invalid_request_error", "param": nil, "code": nil,
            ])
    }
}
