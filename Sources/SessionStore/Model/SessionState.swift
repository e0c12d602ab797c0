public import NIOCore

/// A session's state, without its history.
public struct SessionState: Sendable {
    /// What the session waits for.
    public enum Status: String, Sendable {
        /// It waits for a message.
        case idle
        /// A step runs.
        case running
        /// Tool calls are pending.
        case waiting
    }

    /// What the session waits for.
    public var status: Status
    /// The latest step, 0 before the first.
    public var step: Int
    /// The nonce of the latest step's event ids.
    public var nonce: String
    /// The replica that holds the lease, or held it last.
    public var owner: String
    /// Milliseconds since 1970 on Redis's clock, and that clock when Redis was asked.
    public var leaseUntil: Int64
    /// Redis's clock when the state was read, in milliseconds since 1970.
    public var now: Int64
    /// How often the latest step was begun.
    public var attempt: Int
    /// `cancel` if the step is to be ended; otherwise empty.
    public var intent: String
    /// Changes when the history begins anew.
    public var epoch: String
    /// The user who has the session; nil if it has no owner.
    public var subject: String?
    /// The settings of the turn.
    public var settings: TurnSettings
    /// When the session was created, in milliseconds since 1970.
    public var createdAt: Int64
    /// When the session was last written, in milliseconds since 1970.
    public var updatedAt: Int64
    /// The tokens of all prompts of the session.
    public var promptTokens: Int
    /// The tokens of all completions of the session.
    public var completionTokens: Int
    /// Why the model stopped in the latest step; nil while it runs, and if that is not known.
    public var finishReason: String?
    /// The number of messages in the history.
    public var historyLength: Int
    /// Call id and its JSON, in the model's order.
    public var pending: [(id: String, json: ByteBuffer)]

    /// Whether a step runs whose replica has been silent for longer than its lease.
    public var isOrphaned: Bool { status == .running && leaseUntil <= now }
}
