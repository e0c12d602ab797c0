/// What a request does without, or has in addition, because its server refuses it otherwise.
struct Concessions: OptionSet, Sendable {
    var rawValue: UInt8

    /// No `stream_options`.
    static let streamOptions = Concessions(rawValue: 1)
    /// An assistant's message between a tool's and a user's.
    static let strictTurns = Concessions(rawValue: 2)

    /// Statuses of validators and templates, which say what they do not take.
    static func mayBeAskedFor(byStatus status: Int) -> Bool { [400, 422, 500].contains(status) }

    /// What a refusal asks for.
    static func askedFor(status: Int, body: String) -> Concessions {
        guard mayBeAskedFor(byStatus: status) else { return [] }
        var concessions: Concessions = []
        if status != 500, body.contains("stream_options") || body.contains("include_usage") { concessions.insert(.streamOptions) }
        let words = body.lowercased()
        if words.contains("roles must alternate") || words.contains("after role") && words.contains("tool") {
            concessions.insert(.strictTurns)
        }
        return concessions
    }
}
