import JSONText

/// Gathers the token counts of one completion.
///
/// Servers send `usage` once at the end, growing with every chunk, or empty after the numbers. So
/// each member keeps its last number, whatever follows.
struct ChatCompletionUsage: Sendable {
    private(set) var total = TokenUsage()

    /// Reads a `usage` member.
    ///
    /// - Returns: Whether it names a count.
    mutating func read(_ usage: JSONSlice) -> Bool {
        var isNamed = false
        for member in usage.members {
            switch member.key {
            case "prompt_tokens":
                isNamed = true
                total.promptTokens = Self.count(member.value) ?? total.promptTokens
            case "completion_tokens":
                isNamed = true
                total.completionTokens = Self.count(member.value) ?? total.completionTokens
            // OpenAI.
            case "prompt_tokens_details": total.cachedTokens = Self.count(member.value["cached_tokens"]) ?? total.cachedTokens
            case "completion_tokens_details":
                total.reasoningTokens = Self.count(member.value["reasoning_tokens"]) ?? total.reasoningTokens
            // DeepSeek, and Moonshot.
            case "prompt_cache_hit_tokens", "cached_tokens": total.cachedTokens = Self.count(member.value) ?? total.cachedTokens
            // Perplexity.
            case "reasoning_tokens": total.reasoningTokens = Self.count(member.value) ?? total.reasoningTokens
            default: break
            }
        }
        return isNamed
    }

    /// Returns a number of tokens, in a range in which sums cannot overflow; nil for anything but a
    /// whole number.
    private static func count(_ value: JSONSlice?) -> Int? { value?.integer.map(TokenUsage.possible) }
}
