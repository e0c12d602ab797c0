/// Ollama sends `reasoning`, and each call in one piece with the index 0.
struct Ollama: Dialect {
    var rules: RequestRules {
        var rules = RequestRules(parameters: RequestRules.common)
        rules.conversation.assistantMembers = ["reasoning"]
        return rules
    }

    var replay: ReplayRule { .taken }

    func reasoning(_ thought: Thought) -> [String: JSON] { ["reasoning": .string(thought.text)] }

    func reasoningDeltas(_ thought: Thought) -> [JSON] {
        thought.pieces.map { ["role": "assistant", "content": "", "reasoning": .string($0)] }
    }

    func callDeltas(_ calls: [ScriptedCompletion.Call], _ thought: Thought) -> [JSON] {
        wholeCallDeltas(calls, thought, index: { _ in 0 })
    }
}
