import Logging
import ServiceLifecycle
import UnixSignals

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Ignores SIGHUP. A terminal sends it when it closes, and some tools send it to have settings read
/// again, which this server does not do.
struct HangUpSignal: Service {
    let logger: Logger

    /// Call this first: before the service runs, the signal would end the process.
    static func ignore() {
        signal(SIGHUP, SIG_IGN)
        // A log that nobody reads any more must not end the process either.
        signal(SIGPIPE, SIG_IGN)
    }

    func run() async throws {
        for await _ in await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown() {
            logger.notice("SIGHUP is ignored; settings are read at the start")
        }
    }
}
