/// A limit on what an account may use.
public enum UsageLimit: String, Sendable {
    /// ``UsageLimits/streams``
    case streams
    /// ``UsageLimits/requestsPerMinute``
    case requests
    /// ``UsageLimits/tokensPerMinute``
    case tokens
    /// ``UsageLimits/tokensPerDay``
    case day
}

/// Why an account may not begin a step now. Nothing was written.
public struct LimitRefusal: Sendable, Equatable {
    /// The limit that is reached.
    public var limit: UsageLimit
    /// What the account may use.
    public var quota: Int
    /// When the account may use some again. If that is not known, since it depends on the end of
    /// another step, a second.
    public var retryAfter: Duration

    /// Makes a refusal. The parameters are the properties of the same names.
    public init(limit: UsageLimit, quota: Int, retryAfter: Duration) {
        self.limit = limit
        self.quota = quota
        self.retryAfter = retryAfter
    }
}
