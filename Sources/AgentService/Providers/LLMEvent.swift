/// One thing that a model said. Fragments are handed on as they arrive: nothing is gathered in the provider.
public enum LLMEvent: Sendable, Equatable {
    /// More of the answer's text; never empty.
    case textDelta(String)
    /// More of what the model thinks, for the client to see; never empty, and only where the provider is to
    /// show it.
    case reasoningDelta(String)
    /// A fragment of the tool call at `index` (0-based, in the model's order). `id` and `name` come with the first fragment of
    /// a call, where the model sends them at all; `arguments` is a piece of JSON text, to be appended.
    case toolCall(index: Int, id: String?, name: String?, arguments: String)
    /// Tokens that the generation cost. Where it is sent more than once, the last one counts.
    case usage(TokenUsage)
    /// What the model said beside its answer and may want back; at most once, before ``finish(_:)``.
    case reasoning(ReasoningTrace)
    /// The model has finished.
    case finish(FinishReason)
}

/// Tokens that a generation cost, as the model counted them.
public struct TokenUsage: Sendable, Equatable {
    public var promptTokens: Int
    public var completionTokens: Int
    public var totalTokens: Int { promptTokens + completionTokens }

    /// Counts come from models and from journals: what cannot be one becomes the nearest that can,
    /// so that they may be added.
    public init(promptTokens: Int = 0, completionTokens: Int = 0) {
        self.promptTokens = Self.possible(promptTokens)
        self.completionTokens = Self.possible(completionTokens)
    }

    static func possible(_ count: Int) -> Int { min(max(count, 0), 1 << 40) }
}

/// Why a model stopped, in OpenAI's words (`finish_reason`).
public enum FinishReason: Sendable, Equatable {
    case stop
    case length
    case toolCalls
    case contentFilter
    case other(String)

    public init(_ text: String) {
        switch text {
        case "stop": self = .stop
        case "length": self = .length
        case "tool_calls", "function_call": self = .toolCalls
        case "content_filter": self = .contentFilter
        default: self = .other(text)
        }
    }

    public var text: String {
        switch self {
        case .stop: "stop"
        case .length: "length"
        case .toolCalls: "tool_calls"
        case .contentFilter: "content_filter"
        case .other(let text): text
        }
    }
}
