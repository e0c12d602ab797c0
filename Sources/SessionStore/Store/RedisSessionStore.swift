public import Logging
import NIOCore

/// The sessions in Redis: every rule of the protocol between replicas, and the only way to touch a session.
///
/// All calls are safe to repeat: a write whose reply was lost is sent again with its token and then learns what it did.
public final class RedisSessionStore: Sendable {
    public let configuration: StoreConfiguration
    let client: RedisClient
    let clock = RedisClock()
    let outage: OutageWatch
    let activity: ActivityNotes
    let acknowledged = AcknowledgedSteps()
    /// What the keys of this deployment may look like.
    public let layout: LayoutState
    let logger: Logger

    public init(client: RedisClient, configuration: StoreConfiguration, logger: Logger) {
        self.client = client
        self.configuration = configuration
        activity = ActivityNotes(client: client)
        layout = LayoutState(configuration.layout)
        outage = OutageWatch(pause: configuration.outagePause)
        self.logger = logger
    }

    public var isReady: Bool { client.isReady }

    /// The publish command of this topology.
    var publish: String { client.isOneServer ? "PUBLISH" : "SPUBLISH" }
    var leaseMilliseconds: Int64 { configuration.lease.milliseconds }
    var ttlMilliseconds: Int64 { configuration.sessionTTL?.milliseconds ?? 0 }

    /// Redis's time in ms; asks for it when it is not known yet.
    func now() async throws(StoreError) -> Int64 {
        if let now = clock.now { return now }
        let reply = try await read(RedisCommand("TIME"), key: "")
        guard let seconds = reply[0]?.integerValue, let microseconds = reply[1]?.integerValue else {
            throw .unexpected(reply)
        }
        clock.correct(seconds * 1000 + microseconds / 1000)
        return seconds * 1000 + microseconds / 1000
    }
}

extension RedisReply {
    /// An integer, whether Redis sent it as one or as text.
    var integerValue: Int64? { integer ?? string.flatMap { Int64($0) } }

    var intValue: Int? { integerValue.flatMap { Int(exactly: $0) } }

    /// The bytes, nil where they are empty or missing.
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
