import RedisClient

/// Every key name of the protocol. The keys of one session share its hash tag, so that they lie in
/// one Cluster slot.
public struct RedisKeys: Sendable {
    public let session: SessionID
    /// The start of every key of the session with the hash tag: enough to find the slot.
    let prefix: String

    public init(_ session: SessionID) {
        self.session = session
        prefix = "agent:{\(session.text)}:"
    }

    public var history: String { prefix + "history" }
    public var state: String { prefix + "state" }
    public var pending: String { prefix + "pending" }
    public var ledger: String { prefix + "ledger" }
    public var events: String { prefix + "events" }
    public var steps: String { prefix + "steps" }
    /// What models want back beside the history. From layout 2 on.
    public var reasoning: String { prefix + "reasoning" }
    /// The pub/sub channel on which scripts publish when they have written to the log.
    public var wake: String { prefix + "wake" }

    /// The keys without their prefix, in the order in which every script wants them.
    static let scriptKeys: [StaticString] = ["history", "state", "pending", "ledger", "events", "steps", "reasoning"]
    public var all: [String] { Self.scriptKeys.map { prefix + "\($0)" } }

    /// The number of sorted sets of an index: they spread it over a Cluster's nodes.
    public static let bucketCount = 16

    public var bucket: Int { Int(CRC16.checksum(session.text.utf8)) % Self.bucketCount }

    /// Last activity → session.
    public var index: String { Self.index(bucket: bucket) }
    /// Hints: when to read a session → session. Sweepers read them.
    public var running: String { Self.running(bucket: bucket) }

    public static func index(bucket: Int) -> String { "agent:sessions:default:\(bucket)" }
    public static func running(bucket: Int) -> String { "agent:running:\(bucket)" }

    /// What holds for all sessions: the layout.
    public static let meta = "agent:meta"
    /// Last sign of life → replica.
    public static let replicas = "agent:replicas"
    /// The slot for steps that two replicas were lost with: until when the step keeps others like
    /// it waiting → its session.
    public static let suspects = "agent:suspects"

    /// The pub/sub channel that tells a replica that a step was taken from it.
    public static func replica(_ name: String) -> String { "agent:replica:\(name)" }
}
