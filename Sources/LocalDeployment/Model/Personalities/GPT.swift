/// OpenAI's gpt-5.6 accepts no tools while it reasons, and none of the parameters of older models.
struct GPT: Dialect {
    var rules: RequestRules {
        var rules = RequestRules(
            parameters: RequestRules.common.union(["prompt_cache_key", "safety_identifier", "service_tier", "store", "verbosity"]))
        rules.conversation.instructingRoles = ["system", "developer"]
        return rules
    }

    func refusal(of request: UpstreamRequest) -> Refusal? {
        let body = request.body
        if !body["max_tokens"].isNull {
            return Refusal(
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
                member: "max_tokens")
        }
        for member in ["temperature", "top_p"] where !body[member].isNull && body[member] != 1 {
            return Refusal(
                "Unsupported value: '\(member)' does not support \(body[member]) with this model. Only the default (1) value is supported.",
                member: member)
        }
        let efforts = ["none", "low", "medium", "high", "xhigh"]
        if !body["reasoning_effort"].isNull, !efforts.contains(body["reasoning_effort"].string ?? "") {
            return Refusal(
                "Unsupported value: 'reasoning_effort' does not support \(body["reasoning_effort"]) with this model.",
                member: "reasoning_effort")
        }
        if !body["tools"].array.isEmpty, body["reasoning_effort"] != "none" {
            return Refusal(
                "Function tools with reasoning_effort are not supported for gpt-5.6 in /v1/chat/completions. To use function tools, "
                    + "use /v1/responses or set reasoning_effort to 'none'.", member: "reasoning_effort")
        }
        return nil
    }
}
