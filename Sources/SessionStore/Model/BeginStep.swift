public import NIOCore

/// A request to accept one message; the argument of
/// ``RedisSessionStore/begin(_:as:)``.
public struct BeginStep: Sendable {
    /// What the request brings.
    public enum Input: Sendable {
        /// A chat message with the role `user`, as JSON.
        case user(ByteBuffer)
        /// A tool's result: the chat message (role `tool`) as JSON, the call that it answers, and
        /// the tool's name if the client sent it.
        case toolResult(ByteBuffer, callID: String, toolName: String?)
        /// Nothing: a step runs on the history as it is.
        case retry
        /// A chat message with the role `user`, as JSON, which replaces the history's last one.
        case replacement(ByteBuffer)

        var isToolResult: Bool { if case .toolResult = self { true } else { false } }

        /// The size of the message.
        var byteCount: Int {
            switch self {
            case .user(let json), .toolResult(let json, _, _), .replacement(let json): json.readableBytes
            case .retry: 0
            }
        }
    }

    /// What identifies a request that is sent again.
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
    /// The history's length as the client knows it. If it differs, the request is refused.
    public var expectedLength: Int?
    /// How long after its creation the session ends; nil for ``StoreConfiguration/maximumAge``.
    public var maximumAge: Duration?
    /// The token of the lease. Repeat a call whose reply was lost with the same token.
    public var token: LeaseToken
    /// Whose usage the step counts for, and whose limits apply: at most two.
    public var accounts: [Account] = []
    /// Whether the caller ends a step that is in the way.
    public var interrupts = false

    /// Whether a request that limits refuse may get another outcome than the refusal: it may be
    /// known, need no step, or end the step that has its slot.
    var mayNeedNoSlot: Bool { idempotency != nil || input.isToolResult || interrupts }

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

/// The outcome of a ``BeginStep``.
public enum BeginOutcome: Sendable {
    /// The message is stored, and the caller must run a generation.
    case started(StartedStep)
    /// A tool's result is stored; the calls in `open` still want theirs.
    case waiting(step: Int, historyLength: Int, open: [String])
    /// The request was accepted before, and led to this step.
    case replay(step: Int)
    /// A step runs; the session accepts nothing until it has ended.
    case busy(step: Int, leaseLeft: Duration)
    /// A step runs whose replica has been silent for longer than its lease.
    case orphaned(step: Int)
    /// The message was refused.
    ///
    /// - Parameter orphan: A running step of the session whose replica has been silent for longer
    ///   than its lease: the refusal does not hide it.
    case refused(BeginRefusal, orphan: Int? = nil)
    /// An account of the request is at one of its limits. Nothing was written.
    case limited(LimitRefusal)
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
    /// The history is at its bound: ``StoreConfiguration/maximumMessages``,
    /// ``StoreConfiguration/maximumHistoryBytes``.
    case historyFull(length: Int, bytes: Int)
    /// A build that knows a later layout of the keys has written the session.
    case newerLayout(Int)
    /// The session is another user's. A client gets the response for a session that does not exist.
    case forbidden
}

/// A step whose lease this replica holds.
public struct StartedStep: Sendable {
    /// The lease.
    public var lease: StepLease
    /// The whole history, as JSON, if it is small; otherwise empty. `readHistory(of:onPage:)` of the
    /// store reads it.
    public var history: [ByteBuffer]
    /// Messages in the whole history.
    public var historyLength: Int
    /// Bytes of these messages and of the reasoning, as the session's state has them.
    public var historyBytes: Int
    /// The reasoning, if the history came; otherwise empty. `readReasoning(of:onPage:)` of the store
    /// reads it.
    public var reasoning: [ByteBuffer]
    /// The number of elements in the whole list.
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

    /// Whether the history came with the lease. The step can then ask the model at once.
    public var hasHistory: Bool { history.count == historyLength }
}
