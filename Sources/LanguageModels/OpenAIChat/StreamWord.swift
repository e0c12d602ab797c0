import NIOCore

/// The data of an event that is not a JSON object, sent for its own sake.
enum StreamWord: Sendable {
    /// `[DONE]`, the end of a stream.
    case done
    /// A sign of life that keeps a connection open.
    case heartbeat

    private static let heartbeats: Set = ["", "null", "[]", "ping", "pong", "heartbeat", "keepalive", "keep-alive"]
    private static let longest = 32

    /// Nil for any other data.
    init?(_ data: ByteBuffer) {
        guard data.readableBytes <= Self.longest else { return nil }
        var word = String(buffer: data).filter { !$0.isWhitespace }[...]
        if word.count >= 2, word.first == "\"", word.last == "\"" { word = word.dropFirst().dropLast() }
        if word == "[DONE]" {
            self = .done
            return
        }
        let bare = word.count > 2 && word.first == "[" && word.last == "]" ? word.dropFirst().dropLast() : word
        guard Self.heartbeats.contains(bare.lowercased()) else { return nil }
        self = .heartbeat
    }

    /// Returns whether an event of this name says nothing, whatever its data.
    static func isHeartbeat(event name: String) -> Bool { name != "message" && !name.isEmpty && heartbeats.contains(name.lowercased()) }
}
