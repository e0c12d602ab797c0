import AgentService
import HTTPTypes
import SessionStore

/// The problems of a message that contradicts its session, and of a replica without room for it.
extension Problem {
    init(_ error: TurnError) {
        switch error {
        case .refused(let refusal): self.init(refusal)
        case .limited(let refusal): self.init(refusal)
        case .busy(let step, let retryAfter): self = .sessionBusy(step: step, retryAfter: retryAfter)
        case .store(let error): self.init(error)
        case .draining: self = .draining("this replica is about to stop; send the request again")
        case .overloaded:
            self = Problem(.overloaded, "this replica runs as many steps as it may").retry(after: .seconds(1))
        case .crowded: self = .crowded
        case .notRunning: self.init(.notRunning, "no step of this session is running, or not the one that the request names")
        case .noSession: self = .sessionNotFound
        case .lostResult: self = .unexpected
        }
    }

    init(_ refusal: BeginRefusal) {
        switch refusal {
        case .idempotencyMismatch:
            self.init(.idempotencyMismatch, "this Idempotency-Key was used before, with another request")
        case .unknownCall:
            self.init(.unknownCall, "message.call_id names no call of this session")
        case .resultConflict:
            self.init(.resultConflict, "this call has another result already")
        case .callClosed:
            self.init(.callClosed, "this call was cancelled before its result came")
        case .toolNameMismatch(let expected):
            self.init(.invalidRequest, "message.tool_name does not match: the call is for \(expected)")
        case .nothingToRetry:
            self.init(
                .nothingToRetry,
                """
                the history does not end with a message that the model can respond to, or, with replace, not with a user's \
                message
                """)
        case .callsPending(let ids):
            self = Problem(.callsPending, "tool calls of this session wait for their results").with(
                member: "pending_calls", ids)
        case .historyMismatch(let length):
            self = Problem(.historyMismatch, "the history has \(length) messages, not expected_length").with(
                member: "history_length", length)
        case .historyFull(let length, let bytes):
            self = Problem(
                .historyFull, "this session's history has \(length) messages in \(bytes) bytes, and may not grow further"
            ).with(member: "history_length", length)
        case .newerLayout(let layout):
            self = .layoutNewer(layout)
        case .forbidden:
            self = .sessionNotFound
        }
    }

    init(_ outcome: RewindOutcome, to length: Int) {
        switch outcome {
        case .busy(let step):
            self = .sessionBusy(step: step, retryAfter: .seconds(1))
        case .tooLong(let present):
            self = Problem(
                .invalidRequest, "history_length is \(length), and the history has \(present) messages"
            ).with(member: "history_length", present)
        case .splitsCalls:
            self.init(
                .invalidRequest,
                """
                history_length would keep a tool call without its result: the first message to remove must not be a tool's
                """)
        case .historyMismatch(let present):
            self.init(BeginRefusal.historyMismatch(length: present))
        case .noSession, .rewound:
            self = .sessionNotFound
        }
    }

    static func sessionBusy(step: Int, retryAfter: Duration) -> Problem {
        Problem(.sessionBusy, "step \(step) of this session is running").with(member: "step", step).retry(after: retryAfter)
    }

    static func draining(_ detail: String) -> Problem {
        Problem(.draining, detail).retry(after: .seconds(1))
    }

    /// The problem of a history for which there was no room in time, or of a body for which there
    /// is none.
    static var crowded: Problem {
        Problem(.overloaded, "this replica holds as many bytes of histories and requests as it may").retry(
            after: .seconds(1))
    }

    // MARK: The legacy endpoint, whose response comes after its turn

    /// The problem of a turn that failed.
    ///
    /// - Parameter code: The code of the turn's `error` event.
    static func turnFailed(_ code: String, _ detail: String) -> Problem {
        Problem(.badGateway, code, detail)
    }

    /// The problem of a turn that goes on without this replica.
    static func turnGoesOn(_ detail: String) -> Problem { Problem(.outcomeUnknown, detail) }

    static var turnCancelled: Problem { Problem(.cancelled, "the turn was cancelled before its end") }
}
