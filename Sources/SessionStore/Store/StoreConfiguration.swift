public import RedisClient

/// The bounds and times of the protocol.
public struct StoreConfiguration: Sendable {
    /// This replica's name, in states and journals.
    public var replica: String
    /// This build, in `agent:replicas`.
    public var version = "0"
    /// This process: one that is started again under the same name is another one.
    public var instance = LeaseToken().text
    /// The layout that is written until the deployment's is known.
    public var layout = RedisLayout.first
    /// A replica that is silent for this long has lost its step.
    public var lease: Duration
    /// After this long without a write every key of a session expires; nil for never.
    public var sessionTTL: Duration?
    /// What must have a commit before it counts as made (I4); nil where the server alone suffices.
    public var acknowledgement: Acknowledgement?
    /// How long after a lease's end the sweeper looks.
    public var hintMargin: Duration = .milliseconds(200)
    /// A session whose history has as many messages takes nothing more.
    public var maximumMessages = 100_000
    /// Bytes that a history may have with the message that is brought. What the model answers may go beyond it.
    public var maximumHistoryBytes = 32 << 20
    /// Entries in a session's ledger, beside those that its last steps may still need.
    public var ledgerBound = 256
    /// Lines in a session's journal.
    public var journalBound = 256
    /// The largest history that comes with a lease, in bytes and in messages. It is read within a
    /// script, where a long one would hold up every other session.
    public var historyAheadBytes = 64 << 10
    public var historyAheadMessages = 128
    /// Messages per `LRANGE` of a history, and how many bytes one should bring: pages follow the size of what came. A client that asks for a
    /// history is given about as many bytes at once.
    public var historyPage = 2048
    public var historyPageBytes = 1 << 20
    /// How long a call whose reply was lost is sent again.
    public var retryPatience: Duration = .seconds(5)
    /// How long a commit is tried. A lease that has run out but that nobody took still writes.
    public var commitPatience: Duration = .seconds(10)
    /// How often a step may be begun, its first time included.
    public var maximumAttempts = 3
    /// After Redis was away, steps of lost replicas are left alone for this long: as long as a lease, so that living ones renew first.
    public var outagePause: Duration

    public init(replica: String, lease: Duration = .seconds(3), sessionTTL: Duration? = nil) {
        self.replica = replica
        self.lease = lease
        outagePause = lease
        self.sessionTTL = sessionTTL
    }
}
