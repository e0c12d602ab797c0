import ArgumentParser
import FoundationEssentials
import Logging
import NIOPosix
import RedisClient
import SessionStore

/// `agent-server layout`: shows and raises the layout of the keys in Redis.
struct LayoutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "layout",
        abstract: "Shows and raises the layout of the keys in Redis; see docs/upgrading.md.",
        subcommands: [Show.self, Raise.self],
        defaultSubcommand: Show.self
    )

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints the layout that is written, and the replicas that have shown a sign of life.")

        func run() async throws {
            try await LayoutCommand.withStore { store, _ in
                let layout = try await store.deploymentLayout()
                print("layout \(layout.map(String.init) ?? "not set")")
                for (entry, silence) in try await store.replicas() {
                    print("\(entry.name)  version \(entry.version)  reads layout \(entry.layout)  seen \(silence) ms ago")
                }
            }
        }
    }

    struct Raise: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Has all replicas write a later layout. Refused while a replica runs that cannot read it.")

        @Argument(help: "The layout's number.")
        var layout: Int

        func run() async throws {
            try await LayoutCommand.withStore { store, client in
                guard (RedisLayout.first...RedisLayout.known).contains(layout) else {
                    throw Exit.usage(
                        "layout raise: this build knows the layouts \(RedisLayout.first) to \(RedisLayout.known), not \(layout)")
                }
                let current = try await store.deploymentLayout() ?? RedisLayout.first
                guard layout >= current else {
                    throw Exit.usage("layout raise: the layout is \(current) already; it cannot be lowered, since sessions may have it")
                }
                let behind = try await store.replicas().map(\.entry).filter { $0.layout < layout }
                guard behind.isEmpty else {
                    let names = behind.map { "\($0.name) (version \($0.version), layout \($0.layout))" }.joined(separator: ", ")
                    throw Exit.unavailable("layout raise: these replicas cannot read layout \(layout): \(names); stop them first")
                }
                switch try await client.connectionsOfEarlierBuilds() {
                case 0?: break
                case let count?:
                    throw Exit.unavailable(
                        "layout raise: \(count) connections to Redis are of a build that knows no layouts; stop its replicas first")
                case nil:
                    print("Redis does not let this user list its clients: make sure that no replica of an earlier build runs.")
                }
                try await store.setLayout(layout)
                print("layout \(layout): replicas write it within 30 s")
            }
        }
    }

    /// Runs `body` on the Redis of the settings.
    private static func withStore(_ body: (RedisSessionStore, RedisConnectionPool) async throws -> Void) async throws {
        let settings: Settings
        do throws(SettingsError) {
            settings = try Settings(SettingsReader(environment: ProcessInfo.processInfo.environment))
        } catch {
            throw Exit.usage("\(error)")
        }
        guard var redis = settings.redis else {
            throw Exit.usage("\(Setting.redisURL.name) must be set: a private Redis is raised by its own server")
        }
        redis.clientName = RedisSessionStore.clientName
        var logger = Logger(label: "agent-server") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .error
        let client = RedisConnectionPool(configuration: redis, eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: logger)
        defer { client.shutDown() }
        guard await client.waitUntilReady(timeout: .seconds(5)) else { throw Exit.unavailable("\(redis) cannot be reached") }
        let store = RedisSessionStore(client: client, configuration: ServerParts.store(settings), logger: logger)
        do { try await body(store, client) } catch let error as StoreError { throw Exit.unavailable("\(error)") }
    }
}
