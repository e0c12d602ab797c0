/// vLLM sends `reasoning`, accepts it back, and accepts its absence. Each fragment of a call has a
/// new id.
struct VLLM: Dialect {
    var rules: RequestRules {
        var rules = RequestRules(parameters: RequestRules.common.union(["chat_template_kwargs", "min_p", "top_k"]))
        rules.conversation.assistantMembers = ["reasoning"]
        return rules
    }

    var replay: ReplayRule { .taken }

    func reasoning(_ thought: Thought) -> [String: JSON] { ["reasoning": .string(thought.text)] }
    func reasoningDeltas(_ thought: Thought) -> [JSON] { thought.pieces.map { ["reasoning": .string($0)] } }

    func callID(_ index: Int, _ thought: Thought) -> String { "chatcmpl-tool-\(thought.generation)\(index)" }

    /// Gives each fragment an id of its own.
    func callDeltas(_ calls: [ScriptedCompletion.Call], _ thought: Thought) -> [JSON] {
        calls.enumerated().flatMap { index, call in
            let half = call.arguments.count / 2
            let head = fragment(
                index, ["id": .string(callID(index, thought)), "type": "function"], name: call.name, arguments: "")
            let rest = [call.arguments.prefix(half), call.arguments.dropFirst(half)].enumerated().map { piece, arguments in
                fragment(
                    index, ["id": .string("\(callID(index, thought))-\(piece)"), "type": "function"], name: nil,
                    arguments: String(arguments))
            }
            return [head] + rest
        }
    }

    func answer(_ refusal: Refusal) -> UpstreamAnswer {
        .json(
            refusal.status,
            [
                "object": "error", "message": .string(refusal.message), "type": "BadRequestError",
                "param": refusal.member.map { .string($0) } ?? .null, "code": .number(Double(refusal.status)),
            ])
    }
}
