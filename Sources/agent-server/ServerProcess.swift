import AgentService
import Hummingbird
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import SessionStore
import UnixSignals

/// Puts the server together and runs it until it is told to stop.
struct ServerProcess {
    let settings: Settings

    func run() async throws {
        let logger = Self.logger(settings)
        let group = MultiThreadedEventLoopGroup.singleton

        var services: [any Service] = []
        let redis = try await redisConfiguration(&services, logger: logger)
        let client = RedisClient(configuration: redis, eventLoopGroup: group, logger: logger)
        services.append(client)

        let store = RedisSessionStore(
            client: client,
            configuration: StoreConfiguration(replica: settings.replica, lease: settings.lease, sessionTTL: settings.sessionTTL),
            logger: logger
        )
        var turns = TurnConfiguration(
            replica: settings.replica, model: settings.model, systemPrompt: settings.systemPrompt, tools: settings.tools)
        turns.maximumAnswerBytes = settings.answerLimit
        let supervisor = StepSupervisor(maximumSteps: settings.maximumSteps, drain: settings.drain, logger: logger)
        let logWriter = EventLogWriter()
        let keepAlive = KeepAlive(period: settings.keepAlive)
        let provider: any LLMProvider
        if let llm = settings.llm {
            do throws(OpenAIProvider.ConfigurationError) {
                let openAI = try OpenAIProvider(configuration: llm, eventLoopGroup: group, logger: logger)
                services.append(openAI)
                provider = openAI
            } catch {
                throw Exit.usage("\(Setting.llmURL.name) (--llm-url): \(error)")
            }
        } else {
            provider = ScriptedProvider()
        }
        let runner = TurnRunner(
            store: store, provider: provider, supervisor: supervisor, logWriter: logWriter, keepAlive: keepAlive,
            configuration: turns, logger: logger)
        let routes = AgentRoutes(settings: settings, runner: runner, store: store, supervisor: supervisor)
        let application = Application(
            router: routes.router(),
            server: .http1(
                configuration: .init(
                    additionalChannelHandlers: [ClientWatch()],
                    idleTimeout: .nanoseconds(Int64(settings.idleTimeout.milliseconds) * 1_000_000))),
            configuration: .init(address: .hostname(settings.host, port: settings.port), backlog: 4096),
            onServerRunning: { channel in
                let port = channel.localAddress?.port ?? settings.port
                logger.notice("listening", metadata: ["url": "http://\(settings.host):\(port)"])
            },
            eventLoopGroupProvider: .shared(group),
            logger: logger
        )
        // Stopped from the last to the first: the steps are drained while the server still writes their streams, and Redis
        // goes when nobody needs it any more.
        services += [logWriter, keepAlive, application, supervisor]
        do {
            try await ServiceGroup(
                configuration: .init(services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: Self.quiet(logger))
            ).run()
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw Exit.unavailable("\(Setting.port.name) (--port): \(settings.host):\(settings.port) is in use")
        }
        logger.notice("stopped")
    }

    /// The Redis of the settings, or a private one.
    private func redisConfiguration(_ services: inout [any Service], logger: Logger) async throws -> RedisConfiguration {
        if let redis = settings.redis { return redis }
        let embedded = EmbeddedRedis(directory: settings.dataDirectory, logger: logger)
        do {
            try await embedded.start()
        } catch {
            throw Exit.unavailable("\(error)")
        }
        logger.notice("using a private redis-server", metadata: ["open": "\(embedded.redisCLI)"])
        services.append(embedded)
        var configuration = embedded.configuration
        configuration.commandTimeout = settings.redisTimeout
        configuration.maxInFlight = settings.redisMaxInFlight
        return configuration
    }

    private static func logger(_ settings: Settings) -> Logger {
        var logger = Logger(label: "agent-server") { label in
            guard settings.logsJSON else { return StreamLogHandler.standardError(label: label) }
            return JSONLogHandler(label: label)
        }
        logger.logLevel = settings.logLevel
        return logger
    }

    /// The service group tells of every start and stop; that is for debugging.
    private static func quiet(_ logger: Logger) -> Logger {
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        if logger.logLevel <= .debug { quiet.logLevel = logger.logLevel }
        return quiet
    }
}
