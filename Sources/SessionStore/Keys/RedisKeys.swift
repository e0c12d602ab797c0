/// Every key name of the protocol. The keys of one session share its hash tag, so that they live in one Cluster slot.
public struct RedisKeys: Sendable {
    public let session: SessionID
    public let history: String
    public let state: String
    public let pending: String
    public let ledger: String
    public let events: String
    public let steps: String
    /// The pub/sub channel that says "something was written".
    public let wake: String

    public init(_ session: SessionID) {
        self.session = session
        let prefix = "agent:{\(session.text)}:"
        history = prefix + "history"
        state = prefix + "state"
        pending = prefix + "pending"
        ledger = prefix + "ledger"
        events = prefix + "events"
        steps = prefix + "steps"
        wake = prefix + "wake"
    }

    /// In the order in which every script wants them.
    public var all: [String] { [history, state, pending, ledger, events, steps] }

    /// How many sorted sets an index is spread over, so that a Cluster's nodes share it.
    public static let bucketCount = 16

    public var bucket: Int { Int(CRC16.checksum(session.text.utf8)) % Self.bucketCount }

    /// Last activity → session.
    public var index: String { Self.index(bucket: bucket) }
    /// When to look → session; what the sweeper reads.
    public var running: String { Self.running(bucket: bucket) }

    public static func index(bucket: Int) -> String { "agent:sessions:default:\(bucket)" }
    public static func running(bucket: Int) -> String { "agent:running:\(bucket)" }

    /// The pub/sub channel that tells a replica that a step was taken from it.
    public static func replica(_ name: String) -> String { "agent:replica:\(name)" }
}
