/// What turns are run with where a request does not say otherwise, and their bounds.
public struct TurnConfiguration: Sendable {
    /// This replica's name.
    public var replica: String
    /// The model's name as the upstream knows it.
    public var model: String
    /// The first message of a new session, as text; nil for none.
    public var systemPrompt: String?
    public var tools: ToolRegistry
    /// Bytes that the generations of one step may say, text and arguments together.
    public var maximumAnswerBytes = 4 << 20
    /// Tool calls in one answer.
    public var maximumCalls = 128
    /// How long a batch of events waits for more, once the last one was acknowledged.
    public var logInterval: Duration = .milliseconds(20)
    /// Events that a client stream may wait for at once before they are written without waiting for the interval.
    public var logBatch = 512
    /// How often a follower looks at the log where nothing wakes it.
    public var followTick: Duration = .seconds(1)
    /// Bytes of histories that are held at the same time.
    public var historyBytesInFlight = 128 << 20
    /// How long a request may wait for the end of a running step, or for room for its history.
    public var wait: Duration = .seconds(30)

    public init(replica: String, model: String, systemPrompt: String?, tools: ToolRegistry = .builtIn) {
        self.replica = replica
        self.model = model
        self.systemPrompt = systemPrompt
        self.tools = tools
    }
}
