/// A replica with a model of its own. It uses the shared Redis unless a test passes another.
public struct TestServer: Sendable {
    public let redis: RedisServer
    public let upstream: Upstream
    public let replica: Replica

    /// - Parameters:
    ///   - redis: Nil for the shared Redis.
    ///   - environment: Further settings of the replica.
    public init(redis: RedisServer? = nil, environment: [String: String] = [:]) async throws {
        if let redis { self.redis = redis } else { self.redis = try await RedisServer.shared() }
        upstream = try await Upstream.start()
        replica = try await Replica.start(redis: self.redis.url, upstream: upstream.url, environment: environment)
    }
}

/// A suite whose tests use one replica each.
public protocol ServerSuite {
    var server: TestServer { get }
}

extension ServerSuite {
    public var redis: RedisServer { server.redis }
    public var upstream: Upstream { server.upstream }
    public var replica: Replica { server.replica }
    public var client: AgentClient { server.replica.client }
}
