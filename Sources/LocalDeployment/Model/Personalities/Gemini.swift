/// Gemini's endpoint in OpenAI's format sends each call in one piece, without an id and with the
/// index 0. It signs the first call of a message, and the call must come back with its signature.
struct Gemini: Dialect {
    func isReached(at path: String) -> Bool { path == "/v1beta/openai/chat/completions" }

    var rules: RequestRules {
        var rules = RequestRules(parameters: RequestRules.common.union(["extra_body"]))
        rules.conversation.callMembers = ["extra_content"]
        rules.conversation.toolNames = .wanted
        return rules
    }

    var sendsUsageWithFinish: Bool { true }

    func callID(_ index: Int, _ thought: Thought) -> String { "" }

    func extraMembers(ofCall index: Int, _ thought: Thought) -> [String: JSON] {
        index == 0 ? ["extra_content": ["google": ["thought_signature": .string(thought.signature)]]] : [:]
    }

    func callDeltas(_ calls: [ScriptedCompletion.Call], _ thought: Thought) -> [JSON] {
        wholeCallDeltas(calls, thought, index: { _ in 0 })
    }

    /// Encodes a refusal as a list, which no other server does.
    func answer(_ refusal: Refusal) -> UpstreamAnswer {
        let error: JSON = [
            "code": .number(Double(refusal.status)), "message": .string(refusal.message), "status": "INVALID_ARGUMENT",
        ]
        return .json(refusal.status, [["error": error]])
    }
}
