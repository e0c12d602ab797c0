public import LanguageModels
public import NIOCore
public import SessionStore

/// How a step ended, and what its session waits for.
public struct StepSummary: Sendable, Equatable {
    /// How the step ended.
    public var status: StepStatus
    /// The session of the step.
    public var session: SessionID
    /// The number of the step.
    public var step: Int
    /// Messages in the history; nil where Redis could not be asked.
    public var historyLength: Int?
    /// The ids of the tool calls that have no result yet.
    public var pendingCalls: [String]
    /// Why the model stopped; nil where that is not known.
    public var finishReason: String?
    /// The tokens that the step cost; nil where the model did not count them.
    public var usage: TokenUsage?
    /// The text of a JSON object, as the client sent it.
    public var metadata: ByteBuffer?

    /// - Parameters:
    ///   - status: How the step ended.
    ///   - session: The session of the step.
    ///   - step: The number of the step.
    ///   - historyLength: Messages in the history.
    ///   - pendingCalls: The ids of the tool calls that have no result yet.
    ///   - finishReason: Why the model stopped.
    ///   - usage: The tokens that the step cost.
    ///   - metadata: The text of a JSON object, as the client sent it.
    public init(
        status: StepStatus, session: SessionID, step: Int, historyLength: Int? = nil, pendingCalls: [String] = [],
        finishReason: String? = nil, usage: TokenUsage? = nil, metadata: ByteBuffer? = nil
    ) {
        self.status = status
        self.session = session
        self.step = step
        self.historyLength = historyLength
        self.pendingCalls = pendingCalls
        self.finishReason = finishReason
        self.usage = usage
        self.metadata = metadata
    }
}
