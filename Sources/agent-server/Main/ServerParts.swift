import AgentService
import Hummingbird
import HummingbirdCore
import LanguageModels
import Logging
import NIOCore
import RedisClient
import SessionStore

/// Makes the parts of a server from its settings; ``buildServer(settings:logger:group:)`` connects
/// them.
enum ServerParts {
    static func model(
        _ model: ModelSettings, group: any EventLoopGroup, logger: Logger
    ) throws(SettingsError) -> HTTPLanguageModel {
        do throws(UpstreamConfigurationError) {
            return try HTTPLanguageModel(
                format: model.format, configuration: model.upstream, eventLoopGroup: group, logger: logger)
        } catch {
            // The keys were checked with the settings: only the URL is left.
            throw SettingsError(Setting.llmURL, error.description)
        }
    }

    /// Returns the configuration of Redis, and the private `redis-server` if the settings name no
    /// Redis: it has been started and replies.
    static func redis(
        _ settings: Settings, logger: Logger
    ) async throws -> (configuration: RedisConfiguration, embedded: EmbeddedRedis?) {
        if let configuration = settings.redis { return (configuration, nil) }
        let embedded = EmbeddedRedis(directory: settings.dataDirectory, logger: logger)
        try await embedded.start()
        logger.notice("using a private redis-server", metadata: ["open": "\(embedded.redisCLI)"])
        var configuration = embedded.configuration
        configuration.commandTimeout = settings.redisTimeout
        configuration.maxInFlight = settings.redisMaxInFlight
        return (configuration, embedded)
    }

    static func store(_ settings: Settings) -> StoreConfiguration {
        var configuration = StoreConfiguration(
            replica: settings.replica, lease: settings.lease, sessionTTL: settings.sessionTTL)
        configuration.version = settings.version
        configuration.keyspace = settings.keyspace
        configuration.maximumAge = settings.sessionMaximumAge
        configuration.maximumMessages = settings.maximumMessages
        configuration.maximumHistoryBytes = settings.maximumHistoryBytes
        configuration.tokenReserve = settings.tokenReserve
        if settings.ackReplicas > 0 {
            // Redis must reply before its silence counts as a lost connection.
            configuration.acknowledgement = Acknowledgement(
                replicas: settings.ackReplicas, patience: settings.redisTimeout / 2)
        }
        return configuration
    }

    static func turns(_ settings: Settings) -> TurnConfiguration {
        var configuration = TurnConfiguration(
            replica: settings.replica, systemPrompt: settings.systemPrompt, tools: settings.tools)
        configuration.maximumAnswerBytes = settings.answerLimit
        configuration.followTick = settings.followTick
        configuration.wait = settings.wait
        configuration.historyBytesInFlight = settings.historyBytesInFlight
        return configuration
    }

    static func application(
        responder: DetachedResponder, _ settings: Settings, redis: RedisConfiguration, group: any EventLoopGroup,
        executors: EventLoopExecutors, logger: Logger
    ) -> Application<DetachedResponder> {
        let idleTimeout = TimeAmount.milliseconds(settings.idleTimeout.milliseconds)
        return Application(
            responder: responder,
            server: HTTPServerBuilder { responder in
                let channel = HTTP1Channel(
                    responder: responder,
                    configuration: .init(
                        additionalChannelHandlers: [
                            DelayedCloseHandler(),
                            RequestBodyGuard(bodyLimit: settings.bodyLimit, patience: idleTimeout),
                            ClientStreamHandler(),
                        ],
                        idleTimeout: idleTimeout))
                return EventLoopPinnedChannel(base: channel, executors: executors)
            },
            configuration: .init(address: .hostname(settings.host, port: settings.port), backlog: 4096),
            onServerRunning: { channel in
                try? await AcceptPause.add(to: channel, logger: logger)
                let port = channel.localAddress?.port ?? settings.port
                logger.notice(
                    "listening",
                    metadata: [
                        "url": "http://\(settings.host):\(port)", "redis": "\(redis)", "model": "\(settings.modelDescription)",
                    ])
            },
            eventLoopGroupProvider: .shared(group),
            logger: logger
        )
    }
}
