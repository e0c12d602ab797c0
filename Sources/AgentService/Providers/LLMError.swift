/// Why a generation failed.
public struct LLMError: Error, Sendable, CustomStringConvertible {
    /// The stable word that goes into the `code` of an `error` event.
    public enum Code: String, Sendable {
        /// Connection refused or lost, an HTTP 5xx, or a stream that ended before the model had finished.
        case unavailable = "llm_unavailable"
        /// HTTP 429.
        case rateLimited = "llm_rate_limited"
        /// Silence, or a whole generation, took longer than allowed.
        case timeout = "llm_timeout"
        /// HTTP 4xx: the model refuses this request, and would again.
        case rejected = "llm_rejected"
        /// An `error` object in the middle of a stream, or a reason for its end that is an error.
        case upstream = "llm_error"
        /// A limit on the answer's length cut off a tool call.
        case length = "llm_length"
        /// A filter cut off an answer with tool calls.
        case contentFilter = "llm_content_filter"

        /// Whether the same request may succeed later.
        var isRetryable: Bool {
            switch self {
            case .unavailable, .rateLimited, .timeout, .upstream, .invalidResponse: true
            // The same request meets the same limit or filter, and a client that repeats it by itself pays for a whole answer
            // each time.
            case .rejected, .length, .contentFilter: false
            }
        }
        /// The answer is not what the wire format allows, or is larger than the bound.
        case invalidResponse = "llm_invalid_response"
    }

    public var code: Code
    /// One sentence for people. Never holds a key.
    public var message: String
    /// The upstream's HTTP status, where there was one.
    public var status: Int?
    /// Why the model stopped, where the upstream has said it.
    public var finishReason: FinishReason?

    public init(_ code: Code, _ message: String, status: Int? = nil) {
        self.code = code
        self.message = message
        self.status = status
    }

    /// Whether the same request may succeed later.
    public var isRetryable: Bool { code.isRetryable }

    /// What logs may show. The upstream's own words may quote the conversation.
    var logText: String? {
        if let status { return "HTTP \(status)" }
        return code == .upstream ? nil : message
    }

    public var description: String { "\(code.rawValue): \(message)" }
}
