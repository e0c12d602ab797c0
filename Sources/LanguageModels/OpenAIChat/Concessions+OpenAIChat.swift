import NIOCore

extension Concessions {
    /// No `stream_options`.
    static let streamOptions = Concessions(rawValue: 1)
    /// An assistant's message between a tool's and a user's.
    static let strictTurns = Concessions(rawValue: 2)

    /// Returns what a refusal asks for.
    static func askedFor(status: Int, body: ByteBuffer) -> Concessions {
        guard mayBeAskedFor(byStatus: status) else { return [] }
        let body = String(buffer: body)
        var concessions: Concessions = []
        if status != 500, body.contains("stream_options") || body.contains("include_usage") { concessions.insert(.streamOptions) }
        let words = body.lowercased()
        if words.contains("roles must alternate") || words.contains("after role") && words.contains("tool") {
            concessions.insert(.strictTurns)
        }
        return concessions
    }
}
