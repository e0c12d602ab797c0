import RedisClient

/// Every key name of a session. The keys of one session share its hash tag, so that they lie in one
/// Cluster slot.
package struct RedisKeys: Sendable {
    package let session: SessionID
    package let keyspace: RedisKeyspace
    /// The start of every key of the session with the hash tag: enough to find the slot.
    let prefix: String

    package init(_ session: SessionID, in keyspace: RedisKeyspace = .standard) {
        self.session = session
        self.keyspace = keyspace
        prefix = "\(keyspace.prefix):{\(session.name)}:"
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

    package var bucket: Int { Int(CRC16.checksum(session.name.utf8)) % RedisKeyspace.bucketCount }

    /// Last activity → session.
    package var index: String { keyspace.index(session.tenant, bucket: bucket) }
    /// Hints: when to read a session → session. Sweepers read them.
    package var running: String { keyspace.running(bucket: bucket) }
}
