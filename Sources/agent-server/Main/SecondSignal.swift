import Logging
import UnixSignals

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Ends the process at once at the second SIGTERM or SIGINT. The first one lets running steps end.
/// Other replicas take over the steps that still run at the second.
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
