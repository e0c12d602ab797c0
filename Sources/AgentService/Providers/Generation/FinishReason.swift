/// Why a model stopped.
public enum FinishReason: Sendable, Equatable {
    case stop
    /// A limit on the answer's length, or the model's window, cut it off.
    case length
    case toolCalls
    /// A filter cut the answer off, or took its place.
    case contentFilter
    /// The server says that the answer was not finished, in this word.
    case failure(String)
    /// A word that this program does not know. It may mean anything, so it is not taken as an end.
    case unknown(String)

    /// Reads the word of a server: OpenAI's, or that of the model's vendor where a proxy passes it on.
    ///
    /// Nil for a word that is no reason: some servers write an absent one as text, in every chunk.
    public init?(_ text: String) {
        let word = Self.comparable(text)
        if Self.absent.contains(word) { return nil }
        if let known = Self.meanings[word] {
            self = known
        } else if Self.failures.contains(word) {
            self = .failure(Self.bounded(text))
        } else {
            self = .unknown(Self.bounded(text))
        }
    }

    /// OpenAI's word for it (`finish_reason`); the server's own where OpenAI has none.
    public var text: String {
        switch self {
        case .stop: "stop"
        case .length: "length"
        case .toolCalls: "tool_calls"
        case .contentFilter: "content_filter"
        case .failure(let text), .unknown(let text): text
        }
    }

    /// How much of a word that comes from outside is kept, in characters.
    private static let maximumLength = 64

    private static func bounded(_ text: String) -> String { String(text.prefix(maximumLength)) }

    /// The word in small letters and with `_`. Proxies of Gemini put more before it: `FINISH_REASON_STOP`,
    /// `function_call_filter: MALFORMED_FUNCTION_CALL`.
    private static func comparable(_ text: String) -> String {
        let last = text.prefix(256).split(separator: ":").last ?? ""
        let word = String(last.lowercased().filter { !$0.isWhitespace }.map { $0 == "-" ? "_" : $0 })
        let prefix = "finish_reason_"
        return word.hasPrefix(prefix) ? String(word.dropFirst(prefix.count)) : word
    }
}

/// The words, and who says them.
extension FinishReason {
    /// KoboldCpp writes `"null"`, SGLang `""`, and servers in Python and JavaScript their own words for nothing.
    private static let absent: Set = ["", "null", "none", "undefined"]

    private static let meanings: [String: FinishReason] = [
        // OpenAI: API reference, "The chat completion chunk object".
        "stop": .stop, "length": .length, "tool_calls": .toolCalls, "function_call": .toolCalls, "content_filter": .contentFilter,
        "max_output_tokens": .length,
        // Anthropic: Messages API, "Handling stop reasons". `pause_turn` wants the request again and is no end.
        "end_turn": .stop, "stop_sequence": .stop, "tool_use": .toolCalls, "max_tokens": .length,
        "model_context_window_exceeded": .length, "refusal": .contentFilter,
        // Google: Gemini API, `Candidate.FinishReason`.
        "safety": .contentFilter, "recitation": .contentFilter, "blocklist": .contentFilter, "prohibited_content": .contentFilter,
        "spii": .contentFilter, "image_safety": .contentFilter,
        // Amazon: Bedrock, `Converse`, `stopReason`.
        "guardrail_intervened": .contentFilter, "content_filtered": .contentFilter,
        // Cohere: Chat API, `finish_reason`.
        "complete": .stop, "tool_call": .toolCalls, "error_toxic": .contentFilter, "error_limit": .length,
        // Mistral: API reference, `ChatCompletionChoice.finish_reason`.
        "model_length": .length,
        // Hugging Face: Text Generation Inference, `FinishReason`; Together: API reference.
        "eos_token": .stop, "eos": .stop,
        // Zhipu and Tencent Hunyuan: chat completions, `finish_reason`.
        "sensitive": .contentFilter,
        // Baidu: ERNIE Bot API, `finish_reason`.
        "normal": .stop,
        // IBM: watsonx.ai text generation, `stop_reason`.
        "token_limit": .length,
    ]

    private static let failures: Set = [
        // OpenRouter, Mistral, vLLM, Cohere.
        "error",
        // vLLM and SGLang, where a request was given up.
        "abort", "aborted",
        // Zhipu.
        "network_error",
        // DeepSeek: "Create chat completion".
        "insufficient_system_resource",
        // Google: Gemini API, `Candidate.FinishReason`.
        "malformed_function_call", "unexpected_tool_call", "too_many_tool_calls", "missing_thought_signature", "malformed_response",
        // Amazon: Bedrock, `Converse`.
        "malformed_model_output", "malformed_tool_use",
        // Cohere and IBM.
        "timeout", "time_limit", "user_cancel", "cancelled", "not_finished",
    ]
}
