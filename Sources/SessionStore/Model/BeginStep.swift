public import NIOCore

/// A request to accept one message; the argument of ``RedisSessionStore/begin(_:)``.
public struct BeginStep: Sendable {
    /// What is brought.
    public enum Input: Sendable {
        /// A chat message with the role `user`, as JSON.
        case user(ByteBuffer)
        /// A tool's answer: the chat message (role `tool`) as JSON, the call it answers, the tool's name where the client gave it.
        case toolResult(ByteBuffer, callID: String, toolName: String?)
        /// Nothing: a step is run on the history as it is.
        case retry
        /// A chat message with the role `user`, as JSON, in the place of the history's last one.
        case replacement(ByteBuffer)

        var isToolResult: Bool { if case .toolResult = self { true } else { false } }

        /// Of the message.
        var byteCount: Int {
            switch self {
            case .user(let json), .toolResult(let json, _, _), .replacement(let json): json.readableBytes
            case .retry: 0
            }
        }
    }

    /// What makes the same request recognisable when it is sent again.
    public struct Idempotency: Sendable {
        /// The `Idempotency-Key` header, 1–128 characters.
        public var key: String
        /// A digest of the whole request: another request under the same key is refused.
        public var digest: String

        /// - Parameters:
        ///   - key: The client's key, 1–128 characters.
        ///   - digest: A digest of the whole request.
        public init(key: String, digest: String) {
            self.key = key
            self.digest = digest
        }
    }

    /// The session.
    public var session: SessionID
    /// The message, or what to do without one.
    public var input: Input
    /// The first message of a session that does not exist yet, as JSON; nil for none.
    public var systemPrompt: ByteBuffer?
    /// The client's settings for the turn.
    public var settings: TurnSettings
    /// Recognises the request when it is sent again; nil to store it each time.
    public var idempotency: Idempotency?
    /// The history's length as the client knows it; refused where it differs.
    public var expectedLength: Int?
    /// The token of the lease. Repeat a call whose reply was lost with the same token.
    public var token: LeaseToken

    /// Makes a request. The parameters are the properties of the same names.
    public init(
        session: SessionID,
        input: Input,
        systemPrompt: ByteBuffer? = nil,
        settings: TurnSettings = TurnSettings(),
        idempotency: Idempotency? = nil,
        expectedLength: Int? = nil,
        token: LeaseToken = LeaseToken()
    ) {
        self.session = session
        self.input = input
        self.systemPrompt = systemPrompt
        self.settings = settings
        self.idempotency = idempotency
        self.expectedLength = expectedLength
        self.token = token
    }
}

/// What became of a ``BeginStep``.
public enum BeginOutcome: Sendable {
    /// The message is stored and a generation is due, by whoever asked.
    case started(StartedStep)
    /// A tool's answer is stored; the calls named still want theirs.
    case waiting(step: Int, historyLength: Int, open: [String])
    /// The request was accepted before, and led to this step.
    case replay(step: Int)
    /// A step runs; the session takes nothing until it has ended.
    case busy(step: Int, leaseLeft: Duration)
    /// A step runs whose replica has been silent for longer than its lease.
    case orphaned(step: Int)
    /// - Parameter orphan: A step of the session that runs, and whose replica has been silent for
    ///   longer than its lease: the refusal does not hide it.
    case refused(BeginRefusal, orphan: Int? = nil)
}

/// Why a message was not accepted. Nothing was written.
public enum BeginRefusal: Sendable, Equatable {
    /// The key was used for another request.
    case idempotencyMismatch
    /// No tool call has this id.
    case unknownCall
    /// The call has another result already.
    case resultConflict
    /// The call is not pending any more, and its result is not known.
    case callClosed
    /// The call is for another tool.
    case toolNameMismatch(expected: String)
    /// There is no message whose step could run again.
    case nothingToRetry
    /// Tool calls are pending; their ids are given.
    case callsPending([String])
    /// The history has another length than the client expects.
    case historyMismatch(length: Int)
    /// The history has as much as it may: ``StoreConfiguration/maximumMessages``, ``StoreConfiguration/maximumHistoryBytes``.
    case historyFull(length: Int, bytes: Int)
    /// A build that knows a later layout of the keys has written the session.
    case newerLayout(Int)
}

/// A step that this replica holds the lease of.
public struct StartedStep: Sendable {
    /// The lease.
    public var lease: StepLease
    /// The whole history, as JSON, where it is small; else nothing of it:
    /// ``RedisSessionStore/readHistory(of:onPage:)`` reads it.
    public var history: [ByteBuffer]
    /// Messages in the whole history.
    public var historyLength: Int
    /// Bytes of these messages and of the reasoning, as the session's state has them.
    public var historyBytes: Int
    /// What models said beside their answers, where the history came; else nothing of it:
    /// ``RedisSessionStore/readReasoning(of:onPage:)`` reads it.
    public var reasoning: [ByteBuffer]
    /// Elements in the whole list of it.
    public var reasoningCount: Int
    /// The settings of the turn.
    public var settings: TurnSettings

    /// Makes a step. The parameters are the properties of the same names.
    public init(
        lease: StepLease, history: [ByteBuffer], historyLength: Int, historyBytes: Int, reasoning: [ByteBuffer] = [],
        reasoningCount: Int = 0, settings: TurnSettings
    ) {
        self.lease = lease
        self.history = history
        self.historyLength = historyLength
        self.historyBytes = historyBytes
        self.reasoning = reasoning
        self.reasoningCount = reasoningCount
        self.settings = settings
    }

    /// Whether the history came with the lease. The step may then ask the model at once.
    public var hasHistory: Bool { history.count == historyLength }
}
