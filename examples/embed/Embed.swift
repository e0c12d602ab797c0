import AgentService
import Foundation
import LanguageModels
import Logging
import NIOCore
import NIOPosix
import RedisClient
import ServiceLifecycle
import SessionStore

/// Writes the text as the model writes it, and then how the step ended.
struct PlainText: StreamEncoder {
    func encode(_ event: TurnEvent, id: EventID?, into bytes: inout ByteBuffer) {
        switch event {
        case .textDelta(let text): bytes.writeString(text)
        case .failed(let failure): bytes.writeString("\n\(failure.message)")
        case .finished(let summary): bytes.writeString("\n(\(summary.status.rawValue))\n")
        default: break
        }
    }

    func encode(_ signal: StreamSignal, into bytes: inout ByteBuffer) {}
}

/// Runs one turn of the engine in a program without an HTTP server, and prints its text.
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

        if let session = SessionID(UUID().uuidString) {
            let stream = ClientStream(encoder: PlainText())
            try await turns.start(TurnRequest(session: session, text: "slow 12", as: .tenant), stream: stream)
            while let bytes = await stream.next() { print(String(buffer: bytes), terminator: "") }
        }

        await services.triggerGracefulShutdown()
        try await running
    }
}
