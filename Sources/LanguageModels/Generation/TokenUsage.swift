/// Tokens that a generation cost, as the model counted them.
public struct TokenUsage: Sendable, Equatable {
    /// The tokens of the prompt.
    public var promptTokens: Int
    /// The tokens of the completion, with those of the reasoning.
    public var completionTokens: Int
    /// How many of ``promptTokens`` came from the server's cache; nil if the server does not say.
    public var cachedTokens: Int?
    /// How many of ``completionTokens`` were spent on reasoning; nil if the server does not say.
    public var reasoningTokens: Int?
    /// The tokens of prompt and completion.
    public var totalTokens: Int { promptTokens + completionTokens }

    /// Counts come from models and from journals. A number that cannot be a count becomes the
    /// nearest that can, so that counts may be added.
    public init(promptTokens: Int = 0, completionTokens: Int = 0, cachedTokens: Int? = nil, reasoningTokens: Int? = nil) {
        self.promptTokens = Self.possible(promptTokens)
        self.completionTokens = Self.possible(completionTokens)
        self.cachedTokens = cachedTokens.map(Self.possible)
        self.reasoningTokens = reasoningTokens.map(Self.possible)
    }

    static func possible(_ count: Int) -> Int { min(max(count, 0), 1 << 40) }

    /// Adds the tokens of two generations.
    public static func + (one: TokenUsage, other: TokenUsage) -> TokenUsage {
        TokenUsage(
            promptTokens: one.promptTokens + other.promptTokens, completionTokens: one.completionTokens + other.completionTokens,
            cachedTokens: sum(one.cachedTokens, other.cachedTokens), reasoningTokens: sum(one.reasoningTokens, other.reasoningTokens))
    }

    /// Returns nil if both are unknown.
    private static func sum(_ one: Int?, _ other: Int?) -> Int? {
        guard one != nil || other != nil else { return nil }
        return (one ?? 0) + (other ?? 0)
    }
}
