public import RedisClient
public import SessionStore

/// One Redis of each topology, for all tests that do not disturb it. Each test uses its own session
/// ids.
public enum SharedRedis: String, CaseIterable, Sendable {
    case single, sentinel, cluster

    private static let sentinels = Task { try await RedisSentinels.start() }
    private static let nodes = Task { try await RedisCluster.start() }

    /// Returns the configuration for a store.
    public func configuration() async throws -> RedisConfiguration {
        switch self {
        case .single: try await RedisServer.shared().restrictedConfiguration
        case .sentinel: try await Self.sentinels.value.configuration()
        case .cluster: try await Self.nodes.value.configuration()
        }
    }

    /// Returns the server that holds a session's keys.
    public func server(of session: SessionID) async throws -> RedisServer {
        switch self {
        case .single: try await RedisServer.shared()
        case .sentinel: try await Self.sentinels.value.servers[0]
        case .cluster: try await Self.nodes.value.master(of: RedisKeys(session).state)
        }
    }
}
