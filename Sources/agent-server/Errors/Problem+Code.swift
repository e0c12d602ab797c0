import HTTPTypes

extension Problem {
    /// Every code that the server itself gives to an error response, with its status. A turn that
    /// has failed brings its own code to the legacy endpoint, with the status 502.
    enum Code: String, CaseIterable {
        case invalidJSON = "invalid_json"
        case invalidRequest = "invalid_request"
        case unauthorized
        case forbidden
        case forbiddenOrigin = "forbidden_origin"
        case notFound = "not_found"
        case sessionNotFound = "session_not_found"
        case ticketsDisabled = "tickets_disabled"
        case unknownCall = "unknown_call"
        case methodNotAllowed = "method_not_allowed"
        case notAcceptable = "not_acceptable"
        case sessionBusy = "session_busy"
        case notRunning = "not_running"
        case resultConflict = "result_conflict"
        case callClosed = "call_closed"
        case nothingToRetry = "nothing_to_retry"
        case callsPending = "calls_pending"
        case historyMismatch = "history_mismatch"
        case historyFull = "history_full"
        case cancelled
        case bodyTooLarge = "body_too_large"
        case unsupportedMediaType = "unsupported_media_type"
        case misdirected
        case rateLimited = "rate_limited"
        case idempotencyMismatch = "idempotency_mismatch"
        case internalError = "internal_error"
        case sessionDamaged = "session_damaged"
        case issuerUnavailable = "issuer_unavailable"
        case storeUnavailable = "store_unavailable"
        case overloaded
        case draining
        case layoutNewer = "layout_newer"
        case layoutOlder = "layout_older"
        case outcomeUnknown = "outcome_unknown"

        var status: HTTPResponse.Status {
            switch self {
            case .invalidJSON, .invalidRequest: .badRequest
            case .unauthorized: .unauthorized
            case .forbidden, .forbiddenOrigin: .forbidden
            case .notFound, .sessionNotFound, .ticketsDisabled, .unknownCall: .notFound
            case .methodNotAllowed: .methodNotAllowed
            case .notAcceptable: .notAcceptable
            case .sessionBusy, .notRunning, .resultConflict, .callClosed, .nothingToRetry, .callsPending, .historyMismatch,
                .historyFull, .cancelled:
                .conflict
            case .bodyTooLarge: .contentTooLarge
            case .unsupportedMediaType: .unsupportedMediaType
            case .misdirected: .misdirectedRequest
            case .rateLimited: .tooManyRequests
            case .idempotencyMismatch: .unprocessableContent
            case .internalError, .sessionDamaged: .internalServerError
            case .issuerUnavailable, .storeUnavailable, .overloaded, .draining, .layoutNewer, .layoutOlder, .outcomeUnknown:
                .serviceUnavailable
            }
        }
    }
}
