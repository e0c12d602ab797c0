import JSONText
import SessionStore

/// Gathers the token counts of one answer.
///
/// Servers send `usage` once at the end, growing with every chunk, or empty after the numbers. So each member keeps its last
/// number, whatever else comes.
struct ChatCompletionUsage: Sendable {
    private(set) var total = TokenUsage()

    /// Takes in a `usage` member; true if it names a count.
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

    /// A number of tokens, kept in a range in which sums cannot overflow; nil for what is no whole number.
    private static func count(_ value: JSONSlice?) -> Int? { value?.integer.map(TokenUsage.possible) }
}
