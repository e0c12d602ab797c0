@testable import SessionStore

/// What the scripts of limits must do, written as buckets that fill again: another form of the same
/// rules.
struct AccountModel {
    var limits: UsageLimits
    /// Microseconds since midnight.
    var now: Int64 = 0
    /// Step → until when its slot lives.
    var slots: [String: Int64] = [:]
    var claims: [String: Int64] = [:]
    /// What is left of a minute's requests and tokens; below zero where a step used more.
    private var requests: Double
    private var tokens: Double
    private var day: Int64 = 0
    private var dailyTokens = 0
    /// The milliseconds that make up for rounded times.
    private static let tolerance = 1.0

    init(_ limits: UsageLimits) {
        self.limits = limits
        requests = Double(limits.requestsPerMinute ?? 0)
        tokens = Double(limits.tokensPerMinute ?? 0)
    }

    mutating func advance(_ microseconds: Int64) {
        now += microseconds
        let minutes = Double(microseconds) / 60_000_000
        if let most = limits.requestsPerMinute { requests = min(Double(most), requests + minutes * Double(most)) }
        if let most = limits.tokensPerMinute { tokens = min(Double(most), tokens + minutes * Double(most)) }
        let today = now / (UsageDay.length * 1000)
        if today != day { (day, dailyTokens) = (today, 0) }
    }

    private var milliseconds: Int64 { now / 1000 + ScriptAccount.midnight }
    var today: Int { Int(milliseconds / UsageDay.length) }

    /// Returns the refusal: the limit and the wait in milliseconds; nil if the step may begin.
    mutating func admit(_ step: String, reserve: Int, isLost: Bool, slot: Int64 = 3000) -> (limit: UsageLimit, wait: Double)? {
        let known = slots[step]
        if let most = limits.streams, known ?? 0 <= milliseconds {
            claims = claims.filter { $0.value > milliseconds }
            let others = isLost ? 0 : claims.count
            if slots.count + others >= most { slots = slots.filter { $0.value > milliseconds } }
            if slots.count + others >= most {
                if isLost { claims[step] = milliseconds + slot }
                return (.streams, 1000)
            }
            claims[step] = nil
        }
        if known == nil, !isLost {
            if let most = limits.requestsPerMinute {
                let wait = (1 - requests) / Double(most) * 60_000
                if wait > Self.tolerance { return (.requests, wait) }
            }
            if let most = limits.tokensPerMinute {
                let wait = (Double(reserve) - tokens) / Double(most) * 60_000
                if wait > Self.tolerance { return (.tokens, wait) }
            }
            if let most = limits.tokensPerDay, dailyTokens + reserve > most {
                return (.day, Double(UsageDay.length - milliseconds % UsageDay.length))
            }
            (requests, tokens, dailyTokens) = (requests - 1, tokens - Double(reserve), dailyTokens + reserve)
        }
        slots[step] = milliseconds + slot
        return nil
    }

    mutating func settle(_ step: String, used: Int?, reserved: Int, day reservedOn: Int) {
        slots[step] = nil
        if used == nil, let most = limits.requestsPerMinute { requests = min(Double(most), requests + 1) }
        if let most = limits.tokensPerMinute { tokens = min(Double(most), tokens + Double(reserved - (used ?? 0))) }
        dailyTokens = max(0, dailyTokens + (used ?? 0) - (reservedOn == today ? reserved : 0))
    }
}
