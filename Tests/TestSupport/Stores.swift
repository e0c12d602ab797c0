public import Logging
import NIOCore
import NIOPosix
public import RedisClient
public import SessionStore

extension RedisConfiguration {
    /// Creates a client for this topology. The test may shut it down; otherwise it lives until the
    /// process ends.
    public func client() async throws -> RedisConnectionPool {
        var configuration = self
        configuration.clientName = RedisSessionStore.clientName
        let client = RedisConnectionPool(
            configuration: configuration, eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: .quiet)
        guard await client.waitUntilReady(timeout: .seconds(20)) else { throw NeverHappened(description: "no connection to \(self)") }
        return client
    }

    /// Creates a store of a replica named `replica`.
    public func store(
        replica: String = "replica-1", lease: Duration = .seconds(3), _ change: (inout StoreConfiguration) -> Void = { _ in }
    ) async throws -> RedisSessionStore {
        var configuration = StoreConfiguration(replica: replica, lease: lease)
        change(&configuration)
        return RedisSessionStore(client: try await client(), configuration: configuration, logger: .quiet)
    }
}

extension RedisServer {
    /// Creates a client with its own connections. The test may shut it down; otherwise it lives
    /// until the process ends.
    public func client(_ change: (inout RedisConfiguration) -> Void = { _ in }) async throws -> RedisConnectionPool {
        var configuration = configuration
        change(&configuration)
        return try await configuration.client()
    }

    /// Creates a store of a replica named `replica`.
    public func store(
        replica: String = "replica-1", lease: Duration = .seconds(3), _ change: (inout StoreConfiguration) -> Void = { _ in }
    ) async throws -> RedisSessionStore {
        try await restrictedConfiguration.store(replica: replica, lease: lease, change)
    }
}

extension Logger {
    /// A logger that writes nothing.
    public static var quiet: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}
