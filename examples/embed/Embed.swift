import AgentService
import Foundation
import LanguageModels
import Logging
import NIOCore
import NIOPosix
import RedisClient
import ServiceLifecycle
import SessionStore

/// Runs one turn of the engine in a program without an HTTP server, and prints its events.
@main struct Embed {
    static func main() async throws {
        let logger = Logger(label: "embed")
        let group = MultiThreadedEventLoopGroup.singleton
        let redis = EmbeddedRedis(directory: ".agent-runtime/embed", logger: logger)
        try await redis.start()
        let pool = RedisConnectionPool(configuration: redis.configuration, eventLoopGroup: group, logger: logger)
        let store = RedisSessionStore(client: pool, configuration: StoreConfiguration(replica: "embedded"), logger: logger)
        let membership = Membership(store: store, owns: true, logger: logger)
        try await membership.join()
        let scheduler = StepScheduler(
            maximumSteps: 8, drain: .seconds(5), executors: EventLoopExecutors(group), logger: logger)
        let keepAlive = KeepAlive(period: .seconds(15))
        let turns = TurnService(
            store: store, models: ModelCatalog(server: ScriptedModel(), defaultModel: "scripted"), scheduler: scheduler,
            flushTimer: LogFlushTimer(), keepAlive: keepAlive,
            configuration: TurnConfiguration(replica: "embedded", systemPrompt: nil), logger: logger)
        // Stopped in the reverse order: steps are drained first, Redis is stopped last.
        let services = ServiceGroup(
            services: [redis, pool, membership, keepAlive, Sweeper(service: turns, logger: logger), scheduler], logger: logger)
        async let running: Void = services.run()

        let body = #"{"session_id":"\#(UUID().uuidString)","message":"slow 12"}"#
        let stream = ClientStream()
        try await turns.start(TurnRequest(body: ByteBuffer(string: body)), stream: stream)
        while let events = await stream.next() { print(String(buffer: events), terminator: "") }

        await services.triggerGracefulShutdown()
        try await running
    }
}
