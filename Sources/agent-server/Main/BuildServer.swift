import AgentService
import Hummingbird
import LanguageModels
import Logging
import NIOCore
import NIOPosix
import RedisClient
import SessionStore

/// Builds a server from its settings and runs none of it, except for the private `redis-server`: if
/// the settings name no Redis, that one is started and replies when this returns. Logs risky
/// settings.
///
/// - Parameters:
///   - settings: The server's settings, checked.
///   - logger: The logger of all parts.
///   - audit: The logger of security events; nil for `logger`.
///   - group: Runs connections, Redis and steps.
/// - Throws: ``SettingsError`` for a setting that cannot be used; `EmbeddedRedisError` when the
///   private `redis-server` does not start.
func buildServer(
    settings: Settings, logger: Logger, audit: Logger? = nil, group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
) async throws -> BuiltServer {
    // The model's settings are checked before Redis is started: an error leaves nothing behind.
    let model = try settings.llm.map { model throws(SettingsError) in
        try ServerParts.model(model, group: group, logger: logger)
    }
    let audit = AuditLog(level: settings.audit, logger: audit ?? logger)
    // So are the clients' keys.
    let access = try await AccessParts(settings, group: group, logger: logger, audit: audit)
    if settings.sessionTTL == nil, settings.sessionMaximumAge == nil {
        logger.notice(
            "sessions are kept for ever: neither \(Setting.sessionTTL.name) nor \(Setting.sessionMaximumAge.name) is set")
    }
    for warning in settings.warnings { logger.warning("\(warning)") }
    var (configuration, embedded) = try await ServerParts.redis(settings, logger: logger)
    // A history goes a little beyond its bound with the model's last completion.
    configuration.maxReplyBytes = max(configuration.maxReplyBytes, 2 * settings.maximumHistoryBytes)
    configuration.clientName = RedisSessionStore.clientName
    let redis = RedisConnectionPool(configuration: configuration, eventLoopGroup: group, logger: logger)
    let store = RedisSessionStore(client: redis, configuration: ServerParts.store(settings), logger: logger)
    let executors = EventLoopExecutors(group)
    let scheduler = StepScheduler(
        maximumSteps: settings.maximumSteps, drain: settings.drain, notice: settings.drainNotice, executors: executors,
        logger: logger)
    let keepAlive = KeepAlive(period: settings.keepAlive)
    let models = ModelCatalog(server: model ?? ScriptedModel() as any LanguageModel, defaultModel: settings.model)
    let turns = TurnService(
        store: store, models: models, scheduler: scheduler, flushTimer: LogFlushTimer(), keepAlive: keepAlive,
        configuration: ServerParts.turns(settings), logger: logger)
    let routes = AgentRoutes(
        settings: settings, service: turns, store: store, scheduler: scheduler,
        bodies: ByteBudget(limit: max(settings.bodyBytesInFlight, settings.bodyLimit)), access: access,
        audit: audit)
    return BuiltServer(
        application: ServerParts.application(
            responder: DetachedResponder(base: routes.router().buildResponder(), executors: executors), settings,
            redis: configuration, group: group, executors: executors, logger: logger),
        access: access,
        embeddedRedis: embedded,
        redis: redis,
        redisCheck: RedisCheck(
            client: redis, allowsEviction: settings.allowsEviction, ackReplicas: settings.ackReplicas, logger: logger),
        membership: Membership(store: store, owns: embedded != nil, logger: logger),
        model: model,
        keepAlive: keepAlive,
        turns: turns,
        sweeper: Sweeper(service: turns, logger: logger),
        scheduler: scheduler)
}
