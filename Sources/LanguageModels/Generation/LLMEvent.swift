/// One thing that a model said. Fragments are passed on as they arrive: a ``LanguageModel`` gathers
/// nothing.
public enum LLMEvent: Sendable, Equatable {
    /// More of the completion's text; never empty.
    case textDelta(String)
    /// More of the model's reasoning, for the client to see; never empty, and only from a model
    /// that is set to show it.
    case reasoningDelta(String)
    /// A fragment of the tool call at `index` (0-based, in the model's order). `id` comes once, if
    /// the model sends it at all; `name` and `arguments` are pieces, to be appended.
    case toolCall(index: Int, id: String?, name: String?, arguments: String)
    /// Tokens that the generation cost. If it is sent more than once, the last one counts.
    case usage(TokenUsage)
    /// What the model said beside its completion and may want back; at most once, before
    /// ``finish(_:)``.
    case reasoning(ReasoningTrace)
    /// The model has stopped.
    case finish(FinishReason)
}
