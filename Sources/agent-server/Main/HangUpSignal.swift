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

/// Has the files of credentials read again on SIGHUP. The other settings are read at the start
/// alone. A terminal sends the signal, too, when it closes; it never ends the server.
struct HangUpSignal: Service {
    let files: CredentialFiles
    let logger: Logger

    /// Call this first: before the service runs, the signal would end the process.
    static func ignore() {
        signal(SIGHUP, SIG_IGN)
        // A log that nobody reads any more must not end the process either.
        signal(SIGPIPE, SIG_IGN)
    }

    func run() async throws {
        for await _ in await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown() {
            if files.isEmpty {
                logger.notice("SIGHUP is ignored; settings are read at the start")
            } else {
                logger.notice("SIGHUP: the files of credentials are read again")
                files.reload()
            }
        }
    }
}
