import AgentService
import HTTPTypes
import SessionStore

// The one place where errors become HTTP statuses.

extension Problem {
    init(_ error: RequestError) {
        self.init(.badRequest, error.code.rawValue, error.description)
    }

    init(_ error: TurnError) {
        switch error {
        case .refused(let refusal):
            self.init(refusal)
        case .busy(let step, let retryAfter):
            self = Problem(.conflict, "session_busy", "step \(step) of this session is running")
                .with(member: "step", step).retry(after: retryAfter)
        case .store(let error):
            self.init(error)
        case .draining:
            self = Problem(.serviceUnavailable, "draining", "this replica is about to stop; send the request again").retry(
                after: .seconds(1))
        case .overloaded:
            self = Problem(.serviceUnavailable, "overloaded", "this replica runs as many steps as it may").retry(after: .seconds(1))
        case .crowded:
            self = .crowded
        case .notRunning:
            self.init(.conflict, "not_running", "that step does not run, or no longer")
        case .noSession:
            self = .sessionNotFound
        case .lostResult:
            self.init(.internalServerError, "internal_error", "the request could not be handled")
        }
    }

    init(_ refusal: BeginRefusal) {
        switch refusal {
        case .idempotencyMismatch:
            self.init(
                .unprocessableContent, "idempotency_mismatch", "this Idempotency-Key was used before, with another request")
        case .unknownCall:
            self.init(.notFound, "unknown_call", "message.call_id names no call of this session")
        case .resultConflict:
            self.init(.conflict, "result_conflict", "this call was answered before, with another result")
        case .callClosed:
            self.init(.conflict, "call_closed", "this call was cancelled before its result came")
        case .toolNameMismatch(let expected):
            self.init(.badRequest, "invalid_request", "message.tool_name does not match: the call is for \(expected)")
        case .nothingToRetry:
            self.init(
                .conflict, "nothing_to_retry",
                "the history does not end with something to answer, or not with the user's message that is to be replaced")
        case .callsPending(let ids):
            self = Problem(.conflict, "calls_pending", "tool calls of this session wait for their results").with(
                member: "pending_calls", ids)
        case .historyMismatch(let length):
            self = Problem(.conflict, "history_mismatch", "the history has \(length) messages, not expected_length")
                .with(member: "history_length", length)
        case .historyFull(let length, let bytes):
            self = Problem(
                .conflict, "history_full", "this session's history has \(length) messages in \(bytes) bytes, and may not grow further"
            ).with(member: "history_length", length)
        case .newerLayout(let layout):
            self = .layoutNewer(layout)
        }
    }

    init(_ outcome: RewindOutcome, to length: Int) {
        switch outcome {
        case .busy(let step):
            self = Problem(.conflict, "session_busy", "step \(step) of this session is running")
                .with(member: "step", step).retry(after: .seconds(1))
        case .tooLong(let present):
            self = Problem(
                .badRequest, "invalid_request", "history_length is \(length), and the history has \(present) messages"
            ).with(member: "history_length", present)
        case .splitsCalls:
            self.init(
                .badRequest, "invalid_request",
                "history_length would keep a tool call without its result: the first message that goes must not be a tool's")
        case .historyMismatch(let present):
            self.init(BeginRefusal.historyMismatch(length: present))
        case .noSession, .rewound:
            self = .sessionNotFound
        }
    }

    private static func layoutNewer(_ layout: Int? = nil) -> Problem {
        let what = layout.map { "layout \($0) of the keys" } ?? "a later layout of the keys"
        return Problem(.serviceUnavailable, "layout_newer", "this session has \(what), which this replica cannot read; nothing was written")
            .retry(after: .seconds(1))
    }

    init(_ error: StoreError) {
        switch error.code {
        case .outcomeUnknown, .unexpectedReply:
            self = Problem(
                .serviceUnavailable, "outcome_unknown",
                "Redis did not answer as it should: what was asked may have been done; send the same request again with the same Idempotency-Key"
            ).retry(after: .seconds(1))
        case .overloaded:
            self = Problem(.serviceUnavailable, "overloaded", "too many commands to Redis are under way").retry(after: .seconds(1))
        case .damaged:
            self.init(.internalServerError, "session_damaged", "a key of this session holds what does not belong there")
            cause = "\(error)"
        case .newerLayout:
            self = .layoutNewer()
        case .unavailable, .cancelled:
            self = Problem(.serviceUnavailable, "store_unavailable", "the session store cannot be reached; nothing was written")
                .retry(after: .seconds(1))
        }
    }

    /// There was no room in time for a history, or there is none for a body.
    static var crowded: Problem {
        Problem(.serviceUnavailable, "overloaded", "this replica holds as many bytes of histories and requests as it may").retry(
            after: .seconds(1))
    }

    static var sessionNotFound: Problem { Problem(.notFound, "session_not_found", "there is no such session") }
}
