import ArgumentParser
import Foundation

/// The end of the program for a reason outside of it.
enum Failure {
    /// Prints one line on the standard error, and returns exit code 69 (EX_UNAVAILABLE of sysexits).
    static func unavailable(_ text: String) -> ExitCode {
        FileHandle.standardError.write(Data("failover-drill: \(text)\n".utf8))
        return ExitCode(69)
    }
}
