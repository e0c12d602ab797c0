import Foundation

/// The bytes of one scenario's streams, to compare with a file of `Tests/Fixtures`.
///
/// A run with `AGENT_RUNTIME_TEST_RECORD=1` writes the file instead. Session ids and the nonces of
/// event ids differ between two runs: the recording contains `SESSION` in place of the id, and
/// `n1`, `n2` … in place of the nonces, in their order.
public struct RecordedStreams {
    private let session: String
    private var streams = ""

    public init(session: String) {
        self.session = session
    }

    /// Adds the bytes of one stream.
    public mutating func add(_ title: String, _ bytes: String) {
        streams += "=== \(title)\n\(bytes)"
    }

    /// Returns the recording's first line that differs from the file, together with the file's
    /// line; nil if all lines are equal.
    ///
    /// - Parameter name: The file's name without its extension.
    public func difference(from name: String) throws -> String? {
        let file = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../Fixtures/native-stream/\(name).txt").standardized
        let text = normalized
        if ProcessInfo.processInfo.environment["AGENT_RUNTIME_TEST_RECORD"] == "1" {
            try text.write(to: file, atomically: true, encoding: .utf8)
            return nil
        }
        let recorded = try String(contentsOf: file, encoding: .utf8)
        guard text != recorded else { return nil }
        let lines = [recorded, text].map { $0.split(separator: "\n", omittingEmptySubsequences: false) }
        let line = zip(lines[0], lines[1]).enumerated().first { $1.0 != $1.1 }
        guard let (number, (before, after)) = line else { return "\(lines[0].count) lines are now \(lines[1].count)" }
        return "line \(number + 1) was\n\(before)\nand is\n\(after)"
    }

    private var normalized: String {
        var nonces: [Substring: Int] = [:]
        return streams.replacing(session, with: "SESSION").replacing(/([0-9]+-[0-9]+)\.([0-9a-z]{4})\b/) { match in
            let number = nonces[match.output.2] ?? nonces.count + 1
            nonces[match.output.2] = number
            return "\(match.output.1).n\(number)"
        }
    }
}
