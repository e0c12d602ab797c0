import AgentService
import ArgumentParser
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import RedisClient
import ServiceLifecycle
import SessionStore
import UnixSignals

/// Puts the server together and runs it until it is told to stop.
struct ServerProcess {
    let settings: Settings
    let log: LogWriter

    func run() async throws {
        let logger = logger()
        let group = MultiThreadedEventLoopGroup.singleton

        // Before Redis is started: what cannot be used is found first.
        let openAI = try settings.llm.map { try provider($0, group: group, logger: logger) }
        for warning in settings.warnings { logger.warning("\(warning)") }
        var services: [any Service] = []
        let ownsRedis = settings.redis == nil
        var redis = try await redisConfiguration(&services, logger: logger)
        // A history goes a little beyond its bound with the model's last answer.
        redis.maxReplyBytes = max(redis.maxReplyBytes, 2 * settings.maximumHistoryBytes)
        redis.clientName = RedisSessionStore.clientName
        let client = RedisConnectionPool(configuration: redis, eventLoopGroup: group, logger: logger)
        services.append(client)
        let check = RedisCheck(
            client: client, allowsEviction: settings.allowsEviction, ackReplicas: settings.ackReplicas, logger: logger)
        // Nothing is accepted on a Redis that is not fit. One that is away is waited for while the server runs.
        do { try await check.check(patience: Self.redisPatience) } catch { throw Exit.usage("\(error)") }
        services.append(check)

        let store = RedisSessionStore(client: client, configuration: storeConfiguration, logger: logger)
        let membership = Membership(store: store, owns: ownsRedis, logger: logger)
        do { try await membership.join() } catch { throw Exit.usage("\(SettingsError(.redisURL, error.description))") }
        services.append(membership)
        var turns = TurnConfiguration(
            replica: settings.replica, model: settings.model, systemPrompt: settings.systemPrompt, tools: settings.tools)
        turns.maximumAnswerBytes = settings.answerLimit
        turns.followTick = settings.followTick
        turns.wait = settings.wait
        turns.historyBytesInFlight = settings.historyBytesInFlight
        let executors = EventLoopExecutors(group)
        let scheduler = StepScheduler(
            maximumSteps: settings.maximumSteps, drain: settings.drain, notice: settings.drainNotice, executors: executors, logger: logger)
        let keepAlive = KeepAlive(period: settings.keepAlive)
        if let openAI { services.append(openAI) }
        let service = TurnService(
            store: store, provider: openAI ?? ScriptedProvider() as any LLMProvider, scheduler: scheduler, flushTimer: LogFlushTimer(),
            keepAlive: keepAlive,
            configuration: turns, logger: logger)
        let routes = AgentRoutes(
            settings: settings, service: service, store: store, scheduler: scheduler,
            bodies: ByteBudget(limit: max(settings.bodyBytesInFlight, settings.bodyLimit)))
        let idleTimeout = TimeAmount.milliseconds(settings.idleTimeout.milliseconds)
        let application = Application(
            responder: DetachedResponder(base: routes.router().buildResponder(), executors: executors),
            server: HTTPServerBuilder { responder in
                let channel = HTTP1Channel(
                    responder: responder,
                    configuration: .init(
                        additionalChannelHandlers: [
                            DelayedCloseHandler(), RequestBodyGuard(bodyLimit: settings.bodyLimit, patience: idleTimeout),
                            ClientStreamHandler(),
                        ],
                        idleTimeout: idleTimeout))
                return EventLoopPinnedChannel(base: channel, executors: executors)
            },
            configuration: .init(address: .hostname(settings.host, port: settings.port), backlog: 4096),
            onServerRunning: { channel in
                try? await AcceptPause.add(to: channel, logger: logger)
                let port = channel.localAddress?.port ?? settings.port
                logger.notice("listening", metadata: ["url": "http://\(settings.host):\(port)"])
            },
            eventLoopGroupProvider: .shared(group),
            logger: logger
        )
        // Stopped from the last to the first: the steps are drained while the server still writes their streams, and Redis
        // goes when nobody needs it any more.
        services += [
            HeapTrimmer(histories: service.histories), HangUpSignal(logger: logger), keepAlive, Sweeper(service: service, logger: logger),
            application, scheduler,
        ]
        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: Self.quiet(logger))
        // The last resort, should something not end by itself.
        configuration.maximumGracefulShutdownDuration = settings.drain + settings.keepAlive + .seconds(30)
        let embedded = services.lazy.compactMap { $0 as? EmbeddedRedis }.first
        async let _: Void = SecondSignal.watch(logger: logger) { [log] in
            embedded?.stopWithoutWaiting()
            log.finish()
        }
        do {
            try await ServiceGroup(configuration: configuration).run()
        } catch {
            throw Self.exit(error, settings) ?? error
        }
        logger.notice("stopped")
    }

    /// How long the start waits for Redis.
    private static let redisPatience = Duration.seconds(1)

    private var storeConfiguration: StoreConfiguration {
        var configuration = StoreConfiguration(replica: settings.replica, lease: settings.lease, sessionTTL: settings.sessionTTL)
        configuration.version = settings.version
        configuration.maximumMessages = settings.maximumMessages
        configuration.maximumHistoryBytes = settings.maximumHistoryBytes
        if settings.ackReplicas > 0 {
            // Redis must answer before it counts as silent.
            configuration.acknowledgement = Acknowledgement(replicas: settings.ackReplicas, patience: settings.redisTimeout / 2)
        }
        return configuration
    }

    /// What the settings are to blame for, in words that name them.
    private static func exit(_ error: any Error, _ settings: Settings) -> ExitCode? {
        let (host, port) = ("\(Setting.host.name) (--host)", "\(Setting.port.name) (--port)")
        switch error {
        case let error as SettingsError:
            return Exit.usage("\(error)")
        case let error as Membership.NewerLayout:
            return Exit.usage("\(SettingsError(.redisURL, error.description))")
        case let error as IOError where error.errnoCode == EADDRINUSE:
            return Exit.unavailable("\(port): \(settings.host):\(settings.port) is in use")
        case let error as IOError where error.errnoCode == EACCES:
            return Exit.usage("\(port): this user may not listen on \(settings.port)")
        case let error as IOError where error.errnoCode == EADDRNOTAVAIL:
            return Exit.usage("\(host): \(settings.host) is no address of this machine")
        case is SocketAddressError:
            return Exit.usage("\(host): \(settings.host) is no address, and no name that can be resolved")
        default:
            return nil
        }
    }

    private func provider(
        _ configuration: OpenAIProvider.Configuration, group: any EventLoopGroup, logger: Logger
    ) throws -> OpenAIProvider {
        do throws(OpenAIProvider.ConfigurationError) {
            return try OpenAIProvider(configuration: configuration, eventLoopGroup: group, logger: logger)
        } catch {
            // The keys were checked with the settings.
            throw Exit.usage("\(SettingsError(.llmURL, error.description))")
        }
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

    private func logger() -> Logger {
        var logger = Logger(label: "agent-server") { [log] in QueuedLogHandler(label: $0, writer: log) }
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
