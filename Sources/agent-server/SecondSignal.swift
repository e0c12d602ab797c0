import Logging
import UnixSignals

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The first SIGTERM or SIGINT lets running steps end; a second one ends the process at once. Steps
/// that run are taken over by other replicas then.
enum SecondSignal {
    /// - Parameter beforeExit: Must not wait for long.
    static func watch(logger: Logger, beforeExit: @Sendable () -> Void) async {
        var count = 0
        for await signal in await UnixSignalsSequence(trapping: .sigterm, .sigint) {
            count += 1
            guard count > 1 else { continue }
            logger.warning("stopping at once", metadata: ["signal": "\(signal)"])
            beforeExit()
            _exit(0)
        }
    }
}
