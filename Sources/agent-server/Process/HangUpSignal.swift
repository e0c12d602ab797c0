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

/// SIGHUP ends no server: a terminal sends it when it is closed, and some tools to have settings
/// read again, which this server does not do.
struct HangUpSignal: Service {
    let logger: Logger

    /// To be called first: before there is a service, the signal would end the process.
    static func ignore() {
        signal(SIGHUP, SIG_IGN)
        // A log whose reader has gone is no reason to end either.
        signal(SIGPIPE, SIG_IGN)
    }

    func run() async throws {
        for await _ in await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown() {
            logger.notice("SIGHUP is ignored; settings are read at the start")
        }
    }
}
