public import RedisClient

/// The bounds and times of the protocol.
public struct StoreConfiguration: Sendable {
    /// This replica's name, in states and journals.
    public var replica: String
    /// This build, in `agent:replicas`.
    public var version = "0"
    /// This process: a process that restarts under the same name is another one.
    public var instance = LeaseToken().text
    /// What all keys and channels begin with: 1–32 characters of `A-Z a-z 0-9 _ -`. Replicas with
    /// different prefixes share no session.
    package var keyspace = RedisKeyspace.standard
    /// The layout that this replica writes until it knows the deployment's.
    public var layout = RedisLayout.first
    /// A replica that is silent for this long may lose its step.
    public var lease: Duration
    /// After this long without a write every key of a session expires; nil for never.
    public var sessionTTL: Duration?
    /// How long after its creation a session ends; nil for never. A step that runs at that time ends
    /// first.
    public var maximumAge: Duration?
    /// The replicas of Redis that must have a commit before it counts as made (I4); nil if the
    /// server alone suffices.
    public var acknowledgement: Acknowledgement?
    /// How long after a lease's end its hint is due.
    public var hintMargin: Duration = .milliseconds(200)
    /// A session whose history has as many messages accepts no other.
    public var maximumMessages = 100_000
    /// Bytes that a history may have with the message that is sent. The model's completion may
    /// exceed it.
    public var maximumHistoryBytes = 32 << 20
    /// Entries in a session's ledger, beside those that its last steps may still need.
    public var ledgerBound = 256
    /// Lines in a session's journal.
    public var journalBound = 256
    /// The largest history that comes with a lease, in bytes and in messages. A script reads it,
    /// and a long one would hold up every other session.
    public var historyAheadBytes = 64 << 10
    /// The number of messages in the largest history that comes with a lease.
    public var historyAheadMessages = 128
    /// Messages per `LRANGE` of a history, and how many bytes a page should bring: pages follow the
    /// size of those before them. A client that asks for a history gets about as many bytes at
    /// once.
    public var historyPage = 2048
    /// The number of bytes that one page of a history should have.
    public var historyPageBytes = 1 << 20
    /// Tokens that a step reserves of its account's limits until it has ended.
    public var tokenReserve = 500
    /// How long the store repeats a call whose reply was lost.
    public var retryPatience: Duration = .seconds(5)
    /// How long the store tries a commit. A lease that has run out but that no replica took still
    /// writes.
    public var commitPatience: Duration = .seconds(10)
    /// How often a step may begin, its first time included.
    public var maximumAttempts = 3
    /// After Redis was away, steps of lost replicas are left alone for this long: as long as a
    /// lease, so that living replicas renew first.
    public var outagePause: Duration

    /// - Parameters:
    ///   - replica: The name of this replica, unique in the deployment.
    ///   - lease: How long a silent replica keeps its step.
    ///   - sessionTTL: How long a session lives after its last write; nil for no limit.
    public init(replica: String, lease: Duration = .seconds(3), sessionTTL: Duration? = nil) {
        self.replica = replica
        self.lease = lease
        outagePause = lease
        self.sessionTTL = sessionTTL
    }
}
