import JSONText
import LanguageModels
import SessionStore

extension TokenUsage {
    /// Reads the counts that `writeUsage` has written into a journal.
    init(journaled usage: JSONSlice) {
        self.init(
            promptTokens: usage["prompt_tokens"]?.integer ?? 0, completionTokens: usage["completion_tokens"]?.integer ?? 0,
            cachedTokens: usage["cached_tokens"]?.integer, reasoningTokens: usage["reasoning_tokens"]?.integer)
    }
}
