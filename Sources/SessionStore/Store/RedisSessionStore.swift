import Locks
public import Logging
import NIOCore
public import RedisClient
import Synchronization

/// The sessions in Redis. This type holds every rule of the protocol between replicas, and is the
/// only way to read or write a session.
///
/// All calls are safe to repeat: after a lost reply the store sends a write again with its token,
/// and Redis then says what the first call did.
public final class RedisSessionStore: Sendable {
    /// The bounds and times of the store.
    public let configuration: StoreConfiguration
    let client: RedisConnectionPool
    let outage: OutageDetector
    let unmovedLeases = Guarded(UnmovedLeases())
    let activity: ActivityRecorder
    let acknowledged = AcknowledgedSteps()
    /// Whether Redis accepts `MULTI`; some services do not.
    let takesTransactions = Atomic(true)
    /// The shortest age of sessions that a call has brought, in milliseconds.
    let shortestAge = Atomic(Int64.max)
    /// The layout of keys that this deployment allows.
    package let layout: LayoutState
    let logger: Logger

    /// - Parameters:
    ///   - client: The connections to Redis.
    ///   - configuration: The bounds and times of the store.
    ///   - logger: For outages and damaged sessions.
    public init(client: RedisConnectionPool, configuration: StoreConfiguration, logger: Logger) {
        self.client = client
        self.configuration = configuration
        activity = ActivityRecorder(client: client, keyspace: configuration.keyspace)
        layout = LayoutState(configuration.layout)
        outage = OutageDetector(lease: configuration.lease, pause: configuration.outagePause)
        self.logger = logger
    }

    /// The name of this build's connections in `CLIENT LIST`, for `RedisConfiguration.clientName`. The
    /// connections of builds without layouts are named `agent-runtime`.
    public static let clientName = "agent-runtime-\(RedisLayout.known)"

    /// Whether Redis can be reached now.
    public var isReady: Bool { client.isReady }

    /// The keys of this deployment.
    package var keyspace: RedisKeyspace { configuration.keyspace }

    /// Returns the keys of a session.
    package func keys(_ session: SessionID) -> RedisKeys { RedisKeys(session, in: keyspace) }

    /// The command that publishes to a session's channel in this topology.
    var publish: String { client.isOneServer ? "PUBLISH" : "SPUBLISH" }
    var leaseMilliseconds: Int64 { configuration.lease.milliseconds }
    /// How long each write keeps a session that has reached its greatest age: the step that runs
    /// ends in it, and clients read the result.
    var graceMilliseconds: Int64 { max(60_000, 2 * leaseMilliseconds) }
    var ttlMilliseconds: Int64 { configuration.sessionTTL?.milliseconds ?? 0 }
}

extension RedisReply {
    /// The bytes; nil if they are empty or missing.
    var nonEmptyBuffer: ByteBuffer? {
        guard let buffer, buffer.readableBytes > 0 else { return nil }
        return buffer
    }

    var nonEmptyString: String? {
        guard let string, !string.isEmpty else { return nil }
        return string
    }
}

extension StoreError {
    static func unexpected(_ reply: RedisReply) -> StoreError {
        StoreError(.unexpectedReply, "unexpected reply from Redis: \(reply)")
    }
}
