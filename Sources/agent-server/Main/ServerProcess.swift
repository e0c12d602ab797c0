import AgentService
import ArgumentParser
import HummingbirdCore
import Logging
import NIOCore
import RedisClient
import ServiceLifecycle
import SessionStore
import UnixSignals

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Runs the server of this process until a signal stops it.
struct ServerProcess {
    let settings: Settings
    let log: LogWriter

    /// How long the start waits for Redis.
    private static let redisPatience = Duration.seconds(1)

    func run() async throws {
        let logger = logger("agent-server")
        do {
            let server = try await buildServer(settings: settings, logger: logger, audit: self.logger(AuditLog.label))
            // The server accepts nothing on an unfit Redis. While Redis is away it starts
            // nevertheless, and the check follows when Redis is back.
            try await server.redisCheck.check(patience: Self.redisPatience)
            try await server.membership.join()
            try await run(server, logger: logger)
        } catch {
            throw Self.exit(error, settings) ?? error
        }
        logger.notice("stopped")
    }

    private func run(_ server: BuiltServer, logger: Logger) async throws {
        let services =
            [HeapTrimmer(histories: server.turns.histories), HangUpSignal(files: server.access.files, logger: logger)] + server.services
        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: Self.quiet(logger))
        // The last resort for a service that does not end on its own.
        configuration.maximumGracefulShutdownDuration = settings.drain + settings.keepAlive + .seconds(30)
        async let _: Void = SecondSignal.watch(logger: logger) { [log] in
            server.embeddedRedis?.stopWithoutWaiting()
            log.finish()
        }
        try await ServiceGroup(configuration: configuration).run()
    }

    /// Returns the exit for errors that a setting or its environment causes, in words that name the
    /// setting; nil for all others.
    private static func exit(_ error: any Error, _ settings: Settings) -> ExitCode? {
        let (host, port) = ("\(Setting.host.name) (--host)", "\(Setting.port.name) (--port)")
        switch error {
        case let error as SettingsError:
            return Exit.usage("\(error)")
        case let error as Membership.NewerLayout:
            return Exit.usage("\(SettingsError(Setting.redisURL, error.description))")
        case let error as EmbeddedRedisError:
            return Exit.unavailable("\(error)")
        case let error as IOError where error.errnoCode == EADDRINUSE:
            return Exit.unavailable("\(port): \(settings.host):\(settings.port) is in use")
        case let error as IOError where error.errnoCode == EACCES:
            return Exit.usage("\(port): this user may not listen on \(settings.port)")
        case let error as IOError where error.errnoCode == EADDRNOTAVAIL:
            return Exit.usage("\(host): \(settings.host) is not an address of this machine")
        case is SocketAddressError:
            return Exit.usage("\(host): \(settings.host) is neither an address nor a name that can be resolved")
        default:
            return nil
        }
    }

    private func logger(_ label: String) -> Logger {
        var logger = Logger(label: label) { [log] in QueuedLogHandler(label: $0, writer: log) }
        logger.logLevel = settings.logLevel
        return logger
    }

    /// Returns a logger for the service group, which logs every start and stop of a service: that
    /// is for debugging alone.
    private static func quiet(_ logger: Logger) -> Logger {
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        if logger.logLevel <= .debug { quiet.logLevel = logger.logLevel }
        return quiet
    }
}
