/// What one account may use over all replicas; nil for no limit.
public struct UsageLimits: Sendable, Hashable {
    /// Steps that run at the same time, ≥ 1.
    public var streams: Int?
    /// Requests that begin a step, per minute, ≥ 1.
    public var requestsPerMinute: Int?
    /// Tokens that the model reads and writes, per minute, ≥ 1.
    public var tokensPerMinute: Int?
    /// The same per day of UTC, ≥ 1.
    public var tokensPerDay: Int?

    /// No limits.
    public static let none = UsageLimits()

    /// Makes limits. The parameters are the properties of the same names.
    public init(streams: Int? = nil, requestsPerMinute: Int? = nil, tokensPerMinute: Int? = nil, tokensPerDay: Int? = nil) {
        self.streams = streams
        self.requestsPerMinute = requestsPerMinute
        self.tokensPerMinute = tokensPerMinute
        self.tokensPerDay = tokensPerDay
    }
}
