import HTTPTypes
import RedisClient
import SessionStore

/// The problem of a request whose account is at one of its limits: 429 with the fields of
/// draft-ietf-httpapi-ratelimit-headers-11, and with the limit and the wait as members.
extension Problem {
    init(_ refusal: LimitRefusal) {
        let name = refusal.limit.rawValue
        let milliseconds = min(refusal.retryAfter, .seconds(86_400)).milliseconds
        let seconds = max(1, (milliseconds + 999) / 1000)
        self = Problem(.rateLimited, Self.detail(refusal))
            .with(.retryAfter, "\(seconds)")
            .with(.rateLimitPolicy, "\"\(name)\";\(Self.policy(refusal))")
            .with(.rateLimit, "\"\(name)\";r=0;t=\(seconds)")
            .with(member: "limit", name)
            .with(member: "retry_after", Int(seconds))
    }

    private static func detail(_ refusal: LimitRefusal) -> String {
        switch refusal.limit {
        case .streams: "this account runs as many steps as it may at the same time: \(refusal.quota)"
        case .requests: "this account has begun as many steps as it may within a minute: \(refusal.quota)"
        case .tokens: "this account has used as many tokens as it may within a minute: \(refusal.quota)"
        case .day: "this account has used as many tokens as it may on one day: \(refusal.quota)"
        }
    }

    /// The quota, its unit and its window in seconds. The draft's registry has no unit for tokens;
    /// without a unit they would be requests.
    private static func policy(_ refusal: LimitRefusal) -> String {
        switch refusal.limit {
        case .streams: "q=\(refusal.quota);qu=\"concurrent-requests\""
        case .requests: "q=\(refusal.quota);w=60"
        case .tokens: "q=\(refusal.quota);qu=\"tokens\";w=60"
        case .day: "q=\(refusal.quota);qu=\"tokens\";w=86400"
        }
    }
}
