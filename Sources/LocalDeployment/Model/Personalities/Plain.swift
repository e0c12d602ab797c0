/// OpenAI's format without additions, and with all of OpenAI's checks.
struct Plain: Dialect {
    var rules: RequestRules {
        var rules = RequestRules(
            parameters: ["max_completion_tokens", "parallel_tool_calls", "reasoning_effort", "seed", "temperature", "tool_choice"])
        rules.streamOptions = .wanted
        rules.conversation.instructingRoles = ["system", "developer"]
        return rules
    }

    func answer(_ refusal: Refusal) -> UpstreamAnswer { .error(refusal.status, "upstream refuses: \(refusal.message)") }
}
