import LanguageModels
public import NIOCore

/// One thing that a client learns of a step, in the engine's own terms.
///
/// A ``StreamEncoder`` turns events into the bytes of one protocol, and `LogCodec` into what a
/// session's log holds. Owners and followers emit the same events: a client sees no
/// difference.
public enum TurnEvent: Sendable, Equatable {
    /// A piece of the completion's text, emitted when the model writes it.
    case textDelta(String)
    /// A piece of the model's reasoning, where clients are shown it.
    case reasoningDelta(String)
    /// The whole text of the step, emitted once Redis has stored it. Tool calls follow unless
    /// `isFinal`.
    indirect case text(String, isFinal: Bool)
    /// A tool call for the client to run, emitted once Redis has stored it.
    indirect case toolCall(IssuedCall, isLast: Bool)
    /// The events of a step that the client has are void.
    indirect case restarted(StepRestart)
    /// The step has failed; ``finished(_:)`` follows.
    indirect case failed(StepFailure)
    /// The last event of every stream that is not cut off.
    indirect case finished(StepSummary)
}

/// A tool call that a client is asked to run.
public struct IssuedCall: Sendable, Equatable {
    /// The id of the call; its result names it.
    public var id: String
    /// The tool's name.
    public var name: String
    /// The text of a JSON object.
    public var arguments: ByteBuffer

    /// - Parameters:
    ///   - id: The id of the call.
    ///   - name: The tool's name.
    ///   - arguments: The text of a JSON object.
    public init(id: String, name: String, arguments: ByteBuffer) {
        self.id = id
        self.name = name
        self.arguments = arguments
    }
}

/// The word that the events of step ``replaces`` are void: step ``step`` follows from its
/// beginning, or as a whole.
public struct StepRestart: Sendable, Equatable {
    /// Why the events are void.
    public enum Reason: String, Sendable {
        /// Another replica runs the step again, since the replica that ran it was lost.
        case replicaLost = "replica_lost"
        /// The log does not continue from the event id that the client gave.
        case unknownEventID = "unknown_event_id"
        /// The log has lost the events that come next.
        case eventsGone = "events_gone"
    }

    /// The step that follows.
    public var step: Int
    /// The step whose events are void.
    public var replaces: Int
    /// Why they are void.
    public var reason: Reason

    /// - Parameters:
    ///   - step: The step that follows.
    ///   - replaces: The step whose events are void.
    ///   - reason: Why they are void.
    public init(step: Int, replaces: Int, reason: Reason) {
        self.step = step
        self.replaces = replaces
        self.reason = reason
    }
}

/// Why a step failed.
public struct StepFailure: Sendable, Equatable {
    /// One sentence for people.
    public var message: String
    /// The stable word for the failure, such as `llm_timeout`.
    public var code: String
    /// Whether the same request may succeed later.
    public var isRetryable: Bool
    /// The code that the model's server gave.
    public var upstreamCode: String?
    /// The seconds that the model's server asks a client to wait.
    public var retryAfter: Int?

    /// - Parameters:
    ///   - message: One sentence for people.
    ///   - code: The stable word for the failure.
    ///   - isRetryable: Whether the same request may succeed later.
    ///   - upstreamCode: The code that the model's server gave.
    ///   - retryAfter: The seconds that the model's server asks a client to wait.
    public init(_ message: String, code: String, isRetryable: Bool, upstreamCode: String? = nil, retryAfter: Int? = nil) {
        self.message = message
        self.code = code
        self.isRetryable = isRetryable
        self.upstreamCode = upstreamCode
        self.retryAfter = retryAfter
    }

    init(_ error: LLMError) {
        self.init(
            error.message, code: error.code.rawValue, isRetryable: error.isRetryable, upstreamCode: error.upstreamCode,
            retryAfter: error.retryAfter)
    }
}
