import Foundation
import LocalDeployment

/// A fault that the user defines for a deployment that the drill has not built: a name and a shell
/// command.
struct FaultCommand: Sendable {
    var name: String
    var command: String

    /// Reads `NAME=COMMAND`; nil for any other text.
    init?(_ text: String) {
        guard let sign = text.firstIndex(of: "="), sign != text.startIndex, text.index(after: sign) != text.endIndex else { return nil }
        (name, command) = (String(text[..<sign]), String(text[text.index(after: sign)...]))
    }

    /// Runs the command.
    ///
    /// - Throws: If it exits with an error, or does not exit within five minutes.
    func run() async throws {
        let directory = try temporaryDirectory()
        defer { try? FileManager.default.removeItem(at: directory) }
        let process = try ChildProcess("/bin/sh", ["-c", command], directory: directory)
        let code = try await process.ended(timeout: .seconds(300))
        guard code == 0 else { throw NeverHappened(description: "exit code \(code): \(process.log.suffix(300))") }
    }
}
