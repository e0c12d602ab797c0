import AgentService
import Hummingbird
import LanguageModels
import RedisClient
import ServiceLifecycle
import SessionStore

/// The parts of a server, connected with each other and not running yet.
///
/// ``ServerProcess`` runs them in a process of their own. A test runs them in its own process:
/// `buildServer(settings:logger:)`, then `server.inProcess.test(.router) { client in … }`.
struct BuiltServer {
    /// The HTTP server alone, without the services that its routes need.
    let application: Application<DetachedResponder>
    let access: AccessParts
    /// The private `redis-server`; nil for a Redis that the settings name.
    let embeddedRedis: EmbeddedRedis?
    let redis: RedisConnectionPool
    let redisCheck: RedisCheck
    let membership: Membership
    /// Nil for the scripted model.
    let model: HTTPLanguageModel?
    let keepAlive: KeepAlive
    let turns: TurnService
    let sweeper: Sweeper
    let scheduler: StepScheduler

    /// What the HTTP server needs, in the order in which it starts. It stops in the reverse order:
    /// Redis goes last, when nothing needs it any more.
    var backends: [any Service] {
        let redis: [(any Service)?] = [embeddedRedis, redis, redisCheck, membership, model]
        return redis.compactMap(\.self) + access.services + [keepAlive, sweeper]
    }

    /// All services. The scheduler stops first: steps are drained while the HTTP server still
    /// writes their streams.
    var services: [any Service] { backends + [application, scheduler] }

    /// The HTTP server with everything that it needs as its own services, for tests in process.
    var inProcess: Application<DetachedResponder> {
        var application = application
        application.services = backends + [scheduler]
        return application
    }
}
