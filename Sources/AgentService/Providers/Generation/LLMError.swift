/// Why a generation failed.
public struct LLMError: Error, Sendable, CustomStringConvertible {
    /// The stable word that goes into the `code` of an `error` event.
    public enum Code: String, Sendable, CaseIterable {
        /// Connection refused or lost, an HTTP 5xx, or a stream that ended before the model had finished.
        case unavailable = "llm_unavailable"
        /// HTTP 429.
        case rateLimited = "llm_rate_limited"
        /// Silence, or a whole generation, took longer than allowed.
        case timeout = "llm_timeout"
        /// HTTP 4xx: the model refuses this request, and would again.
        case rejected = "llm_rejected"
        /// The account has no money, credit or allowance left: no request succeeds until somebody pays or waits for days.
        case quotaSpent = "llm_quota"
        /// The conversation is longer than the model takes.
        case contextFull = "llm_context_full"
        /// An `error` object in the middle of a stream that does not say of which kind it is, or a reason for its end that is an error.
        case upstream = "llm_error"
        /// A limit on the answer's length cut off a tool call.
        case length = "llm_length"
        /// A filter cut off an answer with tool calls.
        case contentFilter = "llm_content_filter"
        /// The answer is not what the wire format allows, or is larger than the bound.
        case invalidResponse = "llm_invalid_response"

        /// Whether the same request may succeed later.
        public var isRetryable: Bool {
            switch self {
            case .unavailable, .rateLimited, .timeout, .upstream, .invalidResponse: true
            // The same request meets the same limit or filter, and a client that repeats it by itself pays for a whole answer
            // each time.
            case .rejected, .quotaSpent, .contextFull, .length, .contentFilter: false
            }
        }

        /// Whether the conversation itself is refused, so that its last message must not be sent again.
        var refusesConversation: Bool { self == .rejected || self == .contextFull }
    }

    public var code: Code
    /// One sentence for people. Never holds a key.
    public var message: String
    /// The upstream's HTTP status, where there was one.
    public var status: Int?
    /// The upstream's own word or number for the error.
    public var upstreamCode: String?
    /// Seconds that the upstream wants to be left alone for.
    public var retryAfter: Int?
    /// The upstream's name for the request, by which its operator finds it.
    public var upstreamRequest: String?
    /// ``message`` holds words of the upstream's.
    var isQuote = false
    /// What the same request may succeed with.
    var asksFor: Concessions = []
    /// Why the model stopped, where the upstream has said it.
    public var finishReason: FinishReason?

    public init(_ code: Code, _ message: String, status: Int? = nil) {
        self.code = code
        self.message = message
        self.status = status
    }

    public var isRetryable: Bool { code.isRetryable }

    /// What logs may show. The upstream's own words may quote the conversation.
    var logText: String? {
        if let status { return "HTTP \(status)" }
        return isQuote ? nil : message
    }

    public var description: String { "\(code.rawValue): \(message)" }
}
