public import NIOCore

/// A session's state, without its history.
public struct SessionState: Sendable {
    public enum Status: String, Sendable {
        case idle
        case running
        case waiting
    }

    public var status: Status
    /// The latest step, 0 before the first.
    public var step: Int
    public var nonce: String
    public var owner: String
    /// Milliseconds since 1970 on Redis's clock, and that clock when Redis was asked.
    public var leaseUntil: Int64
    public var now: Int64
    public var attempt: Int
    public var intent: String
    public var epoch: String
    public var settings: TurnSettings
    public var createdAt: Int64
    public var updatedAt: Int64
    public var promptTokens: Int
    public var completionTokens: Int
    /// Why the model stopped in the latest step; nil while it runs, and if that is not known.
    public var finishReason: String?
    public var historyLength: Int
    /// Call id and its JSON, in the model's order.
    public var pending: [(id: String, json: ByteBuffer)]

    /// Whether a step runs whose replica has been silent for longer than its lease.
    public var isOrphaned: Bool { status == .running && leaseUntil <= now }
}
