/// Decides of which kind an error of a model's server is. Codes go before words, which servers
/// change.
enum ErrorClass {
    struct Verdict: Equatable {
        /// Nil if nothing shows it.
        var code: LLMError.Code?
        /// The server's own code: the one that decided, else its first.
        var upstreamCode: String?
    }

    /// - Parameters:
    ///   - status: The HTTP status, or the one that an error within a stream names.
    ///   - words: The error's sentence.
    static func of(status: Int?, facts: ErrorFacts, words: String) -> Verdict {
        let words = words.lowercased()
        func verdict(_ code: LLMError.Code, _ decisive: String? = nil) -> Verdict {
            Verdict(code: code, upstreamCode: decisive ?? facts.codes.first)
        }
        if let code = facts.codes.first(where: { isContextCode($0.lowercased()) }) { return verdict(.contextFull, code) }
        if mayBeQuota(status), let code = facts.codes.first(where: { isQuotaCode($0.lowercased()) }) { return verdict(.quotaSpent, code) }
        if status == 402 || mayBeQuota(status) && quotaWords.contains(where: words.contains) { return verdict(.quotaSpent) }
        if mayBeContext(status), status == 413 || contextWords.contains(where: words.contains) { return verdict(.contextFull) }
        if let status { return verdict(code(of: status)) }
        for code in facts.codes {
            if let status = statuses[code.lowercased()] { return verdict(self.code(of: status), code) }
        }
        return Verdict(code: nil, upstreamCode: facts.codes.first)
    }

    private static func code(of status: Int) -> LLMError.Code {
        switch status {
        case 429: .rateLimited
        case 408: .timeout
        case 500...: .unavailable
        default: .rejected
        }
    }

    // MARK: Nothing left

    private static func mayBeQuota(_ status: Int?) -> Bool { status.map { [400, 402, 403, 429].contains($0) } ?? true }

    private static func isQuotaCode(_ code: String) -> Bool {
        quotaCodes.contains(code) || code.hasPrefix("billing_hard_limit") || code.hasSuffix("spend_limit_reached")
    }

    private static let quotaCodes: Set = [
        "insufficient_quota", "billing_not_active", "billing_error", "payment_required", "insufficient_balance", "insufficient_credits",
        "insufficient_user_quota", "credit_balance_too_low", "budget_exceeded", "exceeded_current_quota_error", "accountoverdueerror",
        "arrearage", "quota_exhausted", "usage_limit_reached",
        // z.ai: balance, limits of a day, a plan, a week. Its 1302, 1303, 1305 and 1312 are limits
        // of a moment.
        "1113", "1304", "1308", "1309", "1310", "1311", "1313",
    ]

    private static let quotaWords = [
        "insufficient_quota", "insufficient quota", "billing hard limit", "billing_hard_limit", "credit balance is too low",
        "insufficient balance", "insufficient credits", "insufficient funds", "out of credits", "requires more credits",
        "spend_limit_reached", "spend limit", "spending limit",
    ]

    // MARK: Too long

    /// A key that is refused, a model that does not exist and a limit of a moment have statuses of
    /// their own.
    private static func mayBeContext(_ status: Int?) -> Bool { status.map { ![401, 403, 404, 408, 429].contains($0) } ?? true }

    private static func isContextCode(_ code: String) -> Bool {
        contextCodes.contains(code) || code.contains("context_length_exceeded") || code.contains("context_window_exceeded")
    }

    private static let contextCodes: Set = [
        "contextwindowexceedederror", "exceed_context_size_error", "context_too_long", "prompt_too_long", "input_too_long",
        "request_too_large",
    ]

    private static let contextWords = [
        "maximum context length", "maximum prompt length", "maximum input length", "context length exceeded", "exceeds the context",
        "exceed the context", "exceeds the available context", "exceeds context", "exceeded context", "exceeds the model's context",
        "context window", "context_length_exceeded", "prompt is too long", "prompt too long", "input is too long", "range of input length",
        "input token count exceeds", "input tokens exceed", "exceeds the maximum number of tokens", "too many input tokens",
        "exceeded model token limit", "reduce the length of the messages", "reduce the length of your prompt",
    ]

    // MARK: Within a stream

    /// The HTTP statuses that go with an error's type if the error comes as an HTTP response.
    private static let statuses: [String: Int] = [
        "rate_limit_error": 429, "rate_limit_exceeded": 429, "rate_limit_reached_error": 429, "too_many_requests": 429,
        "ratelimiterror": 429, "resource_exhausted": 429,
        "overloaded_error": 529, "engine_overloaded_error": 503, "server_overloaded": 503, "service_unavailable": 503, "unavailable": 503,
        "serviceunavailableerror": 503, "server_error": 500, "internal_server_error": 500, "internalservererror": 500, "internal": 500,
        "api_error": 500, "timeout_error": 504, "deadline_exceeded": 504,
        "invalid_request_error": 400, "badrequesterror": 400, "invalid_argument": 400, "authentication_error": 401,
        "unauthenticated": 401, "permission_error": 403, "permission_denied": 403, "not_found_error": 404, "not_found": 404,
    ]
}
