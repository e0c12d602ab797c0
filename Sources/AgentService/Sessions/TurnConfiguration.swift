/// The defaults of requests, and the bounds on turns.
public struct TurnConfiguration: Sendable {
    /// This replica's name.
    public var replica: String
    /// The first message of a new session, as text; nil for none.
    public var systemPrompt: String?
    /// The tools of sessions whose clients bring none.
    public var tools: ToolRegistry
    /// The bytes that all generations of one step may have, text and arguments together.
    public var maximumAnswerBytes = 4 << 20
    /// The tool calls that one completion may have.
    public var maximumCalls = 128
    /// How long a batch of events waits for more events once Redis has acknowledged the last batch.
    public var logInterval: Duration = .milliseconds(20)
    /// The number of events from which a batch is written without waiting for the interval.
    public var logBatch = 512
    /// How often a follower polls the log when no wake-up comes.
    public var followTick: Duration = .seconds(1)
    /// The bytes of histories that a replica holds at the same time.
    public var historyBytesInFlight = 128 << 20
    /// How long a request may wait for the end of a running step, or for room for its history.
    public var wait: Duration = .seconds(30)
    /// The prices of models; nil to count no cost.
    public var prices: (any UsagePrices)?

    /// - Parameters:
    ///   - replica: The name of this replica, unique in the deployment.
    ///   - systemPrompt: The first message of new sessions; nil for none.
    ///   - tools: The tools of sessions whose clients bring none.
    public init(replica: String, systemPrompt: String?, tools: ToolRegistry = .builtIn) {
        self.replica = replica
        self.systemPrompt = systemPrompt
        self.tools = tools
    }
}
