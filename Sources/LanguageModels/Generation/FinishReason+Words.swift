/// The words, and the servers that write them.
extension FinishReason {
    /// KoboldCpp writes `"null"`, SGLang `""`, and servers in Python and JavaScript their own words
    /// for nothing.
    static let absent: Set = ["", "null", "none", "undefined"]

    static let meanings: [String: FinishReason] = [
        // OpenAI: API reference, "The chat completion chunk object".
        "stop": .stop, "length": .length, "tool_calls": .toolCalls, "function_call": .toolCalls, "content_filter": .contentFilter,
        "max_output_tokens": .length,
        // Anthropic: Messages API, "Handling stop reasons". `pause_turn` wants the request again
        // and is not an end.
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

    static let failures: Set = [
        // OpenRouter, Mistral, vLLM, Cohere.
        "error",
        // vLLM and SGLang, for a request that was given up.
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
