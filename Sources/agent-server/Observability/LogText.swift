import FoundationEssentials
import NIOCore

/// Values of log lines that the log's thread formats when it writes the line.
enum LogText {
    struct Milliseconds: CustomStringConvertible, Sendable {
        let duration: Duration

        /// Milliseconds with three decimal places.
        var description: String {
            let (seconds, attoseconds) = duration.components
            let micros = Int(seconds) * 1_000_000 + Int(attoseconds / 1_000_000_000_000)
            let fraction = String(micros % 1000)
            return "\(micros / 1000).\(String(repeating: "0", count: 3 - fraction.utf8.count))\(fraction)"
        }
    }

    struct Time: CustomStringConvertible, Sendable {
        let date: Date

        /// RFC 3339, in UTC, with milliseconds.
        var description: String {
            var text = ByteBuffer()
            LogTime.write(date, into: &text)
            return String(buffer: text)
        }
    }

    /// The other end of a connection; a proxy if the client uses one.
    struct Client: CustomStringConvertible, Sendable {
        let address: SocketAddress?

        var description: String { address?.ipAddress ?? "-" }
    }

    private static let maximumPathBytes = 256

    /// Returns a path, cut off at the length that a line has room for.
    static func path(_ path: String) -> String {
        guard path.utf8.count > maximumPathBytes else { return path }
        return String(decoding: path.utf8.prefix(maximumPathBytes), as: UTF8.self) + "…"
    }
}
