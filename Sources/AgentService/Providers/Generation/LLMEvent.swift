/// One thing that a model said. Fragments are handed on as they arrive: nothing is gathered in the provider.
public enum LLMEvent: Sendable, Equatable {
    /// More of the answer's text; never empty.
    case textDelta(String)
    /// More of what the model thinks, for the client to see; never empty, and only where the provider is to
    /// show it.
    case reasoningDelta(String)
    /// A fragment of the tool call at `index` (0-based, in the model's order). `id` comes once, where the model sends it at
    /// all; `name` and `arguments` are pieces, to be appended.
    case toolCall(index: Int, id: String?, name: String?, arguments: String)
    /// Tokens that the generation cost. Where it is sent more than once, the last one counts.
    case usage(TokenUsage)
    /// What the model said beside its answer and may want back; at most once, before ``finish(_:)``.
    case reasoning(ReasoningTrace)
    /// The model has stopped.
    case finish(FinishReason)
}
