/// Why a generation failed.
public struct LLMError: Error, Sendable, CustomStringConvertible {
    /// The stable word that goes into the `code` of an `error` event.
    public enum Code: String, Sendable, CaseIterable {
        /// Connection refused or lost, an HTTP 5xx, or a stream that ended before the model had
        /// finished.
        case unavailable = "llm_unavailable"
        /// HTTP 429.
        case rateLimited = "llm_rate_limited"
        /// Silence, or a whole generation, took longer than allowed.
        case timeout = "llm_timeout"
        /// HTTP 4xx: the model refuses this request, and would again.
        case rejected = "llm_rejected"
        /// The account has no money, credit or allowance left: each request fails until a person
        /// pays, or for days.
        case quotaSpent = "llm_quota"
        /// The conversation is longer than the model takes.
        case contextFull = "llm_context_full"
        /// An error in the middle of a stream that does not say of which kind it is, or a reason
        /// for the end that is an error.
        case upstream = "llm_error"
        /// A limit on the completion's length cut off a tool call.
        case length = "llm_length"
        /// A filter cut off a completion with tool calls.
        case contentFilter = "llm_content_filter"
        /// The response is not what the wire format allows, or is larger than the bound.
        case invalidResponse = "llm_invalid_response"

        /// Whether the same request may succeed later.
        public var isRetryable: Bool {
            switch self {
            case .unavailable, .rateLimited, .timeout, .upstream, .invalidResponse: true
            // The same request meets the same limit or filter. A client that repeats it on its own
            // pays for a whole completion each time.
            case .rejected, .quotaSpent, .contextFull, .length, .contentFilter: false
            }
        }

        /// Whether the server refuses the conversation itself, so that its last message must not be
        /// sent again.
        package var refusesConversation: Bool { self == .rejected || self == .contextFull }
    }

    /// The reason, for programs.
    public var code: Code
    /// One sentence for people. Never holds a key.
    public var message: String
    /// The HTTP status of the model's server, if there was one.
    public var status: Int?
    /// The server's own word or number for the error.
    public var upstreamCode: String?
    /// Seconds that the server wants to be left alone for.
    public var retryAfter: Int?
    /// The server's name for the request, by which its operator finds it.
    public var upstreamRequest: String?
    /// Whether ``message`` holds words of the server's. Logs do not show them.
    public var isQuote = false
    /// What the same request may succeed with.
    public var asksFor: Concessions = []
    /// Why the model stopped, if the server has said it.
    public var finishReason: FinishReason?

    /// - Parameters:
    ///   - code: The reason.
    ///   - message: The reason in words.
    ///   - status: The HTTP status of the response; nil if there was none.
    public init(_ code: Code, _ message: String, status: Int? = nil) {
        self.code = code
        self.message = message
        self.status = status
    }

    /// Whether the same request may succeed later.
    public var isRetryable: Bool { code.isRetryable }

    /// What logs may show. The server's own words may quote the conversation.
    package var logText: String? {
        if let status { return "HTTP \(status)" }
        return isQuote ? nil : message
    }

    public var description: String { "\(code.rawValue): \(message)" }
}
