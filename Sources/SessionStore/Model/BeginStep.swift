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

        public init(key: String, digest: String) {
            self.key = key
            self.digest = digest
        }
    }

    public var session: SessionID
    public var input: Input
    /// The first message of a session that does not exist yet, as JSON; nil for none.
    public var systemPrompt: ByteBuffer?
    public var settings: TurnSettings
    public var idempotency: Idempotency?
    /// The history's length as the client knows it; refused where it differs.
    public var expectedLength: Int?
    public var token: LeaseToken

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
    case idempotencyMismatch
    case unknownCall
    case resultConflict
    case callClosed
    case toolNameMismatch(expected: String)
    case nothingToRetry
    case callsPending([String])
    case historyMismatch(length: Int)
    /// The history has as much as it may: ``StoreConfiguration/maximumMessages``, ``StoreConfiguration/maximumHistoryBytes``.
    case historyFull(length: Int, bytes: Int)
    /// A build that knows a later layout of the keys has written the session.
    case newerLayout(Int)
}

/// A step that this replica holds the lease of.
public struct StartedStep: Sendable {
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
    public var settings: TurnSettings

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
