import ArgumentParser
import Locks

/// Ends the process before or without serving: one line on standard error, and a code of
/// sysexits.h.
enum Exit {
    private static let log = Guarded<LogWriter?>(nil)

    /// EX_USAGE: a setting cannot be used.
    static func usage(_ line: String) -> ExitCode {
        say(line)
        return ExitCode(64)
    }

    /// EX_UNAVAILABLE: something that the server needs is missing.
    static func unavailable(_ line: String) -> ExitCode {
        say(line)
        return ExitCode(69)
    }

    /// Makes lines that were logged before the end stand before its line.
    static func ends(_ writer: LogWriter) {
        log.withLock { $0 = writer }
    }

    private static func say(_ line: String) {
        log.withLock { $0 }?.finish()
        var output = StandardError()
        print("agent-server: \(line)", to: &output)
    }
}
