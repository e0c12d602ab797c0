import NIOCore

/// OpenRouter sends `reasoning_details` in fragments. The client must merge them by their index and
/// send them back unchanged.
struct OpenRouter: Dialect {
    func isReached(at path: String) -> Bool { path == "/api/v1/chat/completions" }

    var rules: RequestRules {
        var rules = RequestRules(parameters: RequestRules.common.union(["models", "provider", "reasoning", "transforms", "usage"]))
        rules.conversation.assistantMembers = ["reasoning", "reasoning_details"]
        return rules
    }

    var replay: ReplayRule {
        .wantedWithCalls(refusing: "Expected `thinking` or `redacted_thinking`, but found `tool_use`.", acceptsEmpty: false)
    }

    var wantedMember: String { "reasoning_details" }

    private static func detail(_ members: [String: JSON]) -> JSON {
        .object(members.merging(["format": "anthropic-claude-v1"]) { $1 })
    }

    private func sealed(_ thought: Thought) -> JSON {
        Self.detail([
            "type": "reasoning.encrypted", "data": .string(thought.signature), "id": .string("rs_\(thought.generation)"), "index": 1,
        ])
    }

    func reasoning(_ thought: Thought) -> [String: JSON] {
        let said = Self.detail([
            "type": "reasoning.text", "text": .string(thought.text), "signature": .string(thought.signature), "index": 0,
        ])
        return ["reasoning": .string(thought.text), "reasoning_details": [said, sealed(thought)]]
    }

    /// Returns the text's fragments, then a fragment that holds the signature and no text.
    func reasoningDeltas(_ thought: Thought) -> [JSON] {
        let pieces: [JSON] = thought.pieces.map { piece in
            let detail = Self.detail(["type": "reasoning.text", "text": .string(piece), "index": 0])
            return ["role": "assistant", "content": "", "reasoning": .string(piece), "reasoning_details": [detail]]
        }
        let signature = Self.detail(["type": "reasoning.text", "signature": .string(thought.signature), "index": 0])
        let last: [JSON] = [signature, sealed(thought)].map {
            ["role": "assistant", "content": "", "reasoning": nil, "reasoning_details": [$0]]
        }
        return pieces + last
    }

    func begin(_ answer: inout UpstreamAnswer) {
        for _ in 0..<2 { answer.parts.append(.bytes(.init(string: ": OPENROUTER PROCESSING\n\n"))) }
    }

    func answer(_ refusal: Refusal) -> UpstreamAnswer {
        let raw: JSON = ["type": "error", "error": ["type": "invalid_request_error", "message": .string(refusal.message)]]
        let error: JSON = [
            "message": "Provider returned error", "code": .number(Double(refusal.status)),
            "metadata": ["raw": .string(raw.text), "provider_name": "Anthropic"],
        ]
        return .json(refusal.status, ["error": error, "user_id": "user_1"])
    }
}
