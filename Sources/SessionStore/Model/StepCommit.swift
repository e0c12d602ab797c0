import JSONText
public import NIOCore

/// How a step ended.
public enum StepStatus: String, Sendable {
    /// The model's completion ends the turn.
    case completed
    /// The model called tools.
    case waiting
    /// The step ended with an error.
    case failed
    /// A client cancelled the step.
    case cancelled
}

/// A tool call that was issued and has no result yet.
public struct PendingCall: Sendable, Equatable {
    /// The id of the call, unique in the session.
    public var id: String
    /// The name of the tool.
    public var toolName: String
    /// `{"tool_name":…,"arguments":…,"step":…}`
    public var json: ByteBuffer

    /// Makes a call. The parameters are the properties of the same names.
    public init(id: String, toolName: String, json: ByteBuffer) {
        self.id = id
        self.toolName = toolName
        self.json = json
    }
}

/// What a model said beside one of its messages and may want back: an element of
/// `agent:{S}:reasoning`.
public struct StoredReasoning: Sendable, Equatable {
    /// The index in ``StepCommit/messages`` of the message that it belongs to.
    public var message: Int
    /// A JSON object without its first member, the message's index in the history, which the script
    /// knows: `"by":…,"fields":{…},"calls":{…}}`.
    public var json: ByteBuffer

    /// - Parameters:
    ///   - message: The index of its message in ``StepCommit/messages``.
    ///   - json: The element without its first member.
    public init(message: Int, json: ByteBuffer) {
        self.message = message
        self.json = json
    }

    /// Returns the whole element.
    ///
    /// - Parameter first: The index in the history of the first of the messages.
    public func element(firstMessage first: Int) -> ByteBuffer {
        var element = ByteBuffer()
        element.reserveCapacity(json.readableBytes + 24)
        element.writeStaticString(#"{"at":"#)
        element.writeDecimal(first + message)
        element.writeStaticString(",")
        element.writeImmutableBuffer(json)
        return element
    }
}

/// Everything that the end of a step writes, in one script.
public struct StepCommit: Sendable {
    /// The lease of the step.
    public var lease: StepLease
    /// The messages that enter the history, as JSON, in order; may be empty.
    public var messages: [ByteBuffer]
    /// The tool calls that the client must answer.
    public var calls: [PendingCall]
    /// The events that the log does not have yet, with the step's last ones.
    public var events: LoggedEvents
    /// The tokens of the step's prompts.
    public var promptTokens: Int
    /// The tokens of the step's completions.
    public var completionTokens: Int
    /// One JSON object for the session's journal.
    public var journalLine: ByteBuffer
    /// The role of the last of ``messages``; nil without messages.
    var lastRole: ChatRole? { messages.last.flatMap { ChatRole(of: $0) } }
    /// Whether the model's server rejected the request before the model said anything. If the
    /// history's last message is the user's, the next message then replaces it.
    public var isRejected = false
    /// The reasoning that belongs to ``messages``. A session of layout 1 keeps none.
    public var reasoning: [StoredReasoning] = []
    /// Why the model stopped; nil if that is not known.
    public var finishReason: String?
    /// Whether the model has counted the tokens. If it has not, limits count those that were
    /// reserved when the step began.
    public var hasUsage = true
    /// Whether a caller waits for the end in order to begin another step: the commit then returns
    /// when the step's slots are free.
    public var isAwaited = false
    /// The price of the tokens in millionths of a currency unit; 0 if prices are not known.
    public var cost = 0

    /// Makes a commit. The parameters are the properties of the same names.
    public init(
        lease: StepLease, messages: [ByteBuffer], calls: [PendingCall], events: LoggedEvents,
        promptTokens: Int, completionTokens: Int, journalLine: ByteBuffer
    ) {
        self.lease = lease
        self.messages = messages
        self.calls = calls
        self.events = events
        self.promptTokens = promptTokens
        self.completionTokens = completionTokens
        self.journalLine = journalLine
    }
}

/// Redis's reply to a write that needs the lease.
public enum LeaseAnswer: Sendable, Equatable {
    /// Done, now or by an earlier call with the same token.
    case held
    /// Another token holds the lease. `step` is the session's latest, 0 if the session is gone.
    case lost(step: Int, intent: String)
}
