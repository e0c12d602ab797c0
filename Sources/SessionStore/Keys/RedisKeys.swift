import RedisClient

/// Every key name of the protocol. The keys of one session share its hash tag, so that they lie in
/// one Cluster slot.
package struct RedisKeys: Sendable {
    package let session: SessionID
    /// The start of every key of the session with the hash tag: enough to find the slot.
    let prefix: String

    package init(_ session: SessionID) {
        self.session = session
        prefix = "agent:{\(session.text)}:"
    }

    package var history: String { prefix + "history" }
    package var state: String { prefix + "state" }
    package var pending: String { prefix + "pending" }
    package var ledger: String { prefix + "ledger" }
    package var events: String { prefix + "events" }
    package var steps: String { prefix + "steps" }
    /// What models want back beside the history. From layout 2 on.
    package var reasoning: String { prefix + "reasoning" }
    /// The pub/sub channel on which scripts publish when they have written to the log.
    package var wake: String { prefix + "wake" }

    /// The keys without their prefix, in the order in which every script wants them.
    static let scriptKeys: [StaticString] = ["history", "state", "pending", "ledger", "events", "steps", "reasoning"]
    package var all: [String] { Self.scriptKeys.map { prefix + "\($0)" } }

    /// The number of sorted sets of an index: they spread it over a Cluster's nodes.
    package static let bucketCount = 16

    package var bucket: Int { Int(CRC16.checksum(session.text.utf8)) % Self.bucketCount }

    /// Last activity → session.
    package var index: String { Self.index(bucket: bucket) }
    /// Hints: when to read a session → session. Sweepers read them.
    package var running: String { Self.running(bucket: bucket) }

    package static func index(bucket: Int) -> String { "agent:sessions:default:\(bucket)" }
    package static func running(bucket: Int) -> String { "agent:running:\(bucket)" }

    /// What holds for all sessions: the layout.
    package static let meta = "agent:meta"
    /// Last sign of life → replica.
    package static let replicas = "agent:replicas"
    /// The slot for steps that two replicas were lost with: until when the step keeps others like
    /// it waiting → its session.
    package static let suspects = "agent:suspects"

    /// The pub/sub channel that tells a replica that a step was taken from it.
    package static func replica(_ name: String) -> String { "agent:replica:\(name)" }
}
