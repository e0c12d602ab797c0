import NIOCore

/// Values of log lines that are made when the line is written, by the log's thread.
enum LogText {
    struct Milliseconds: CustomStringConvertible, Sendable {
        let duration: Duration

        /// With microseconds behind the point.
        var description: String {
            let (seconds, attoseconds) = duration.components
            let micros = Int(seconds) * 1_000_000 + Int(attoseconds / 1_000_000_000_000)
            let fraction = String(micros % 1000)
            return "\(micros / 1000).\(String(repeating: "0", count: 3 - fraction.utf8.count))\(fraction)"
        }
    }

    /// The other end of a connection: behind a proxy, the proxy.
    struct Client: CustomStringConvertible, Sendable {
        let address: SocketAddress?

        var description: String { address?.ipAddress ?? "-" }
    }

    private static let maximumPathBytes = 256

    /// A path as far as a line has room for it.
    static func path(_ path: String) -> String {
        guard path.utf8.count > maximumPathBytes else { return path }
        return String(decoding: path.utf8.prefix(maximumPathBytes), as: UTF8.self) + "…"
    }
}
