import JSONText
import NIOCore

/// The members that a request adds to the assistants' messages of its history.
struct ReplayedReasoning {
    /// By the message's place in the history.
    private var members: [Int: [JSONMembers.Member]] = [:]
    /// For each message of an assistant that has no members of its own.
    private let fallback: [JSONMembers.Member]

    /// Servers that want reasoning with each of their completions take an empty one.
    private static let emptyReasoning: [JSONMembers.Member] =
        (try? JSONSlice(parsing: ByteBuffer(string: #"{"reasoning_content":""}"#))).map { Array($0.members) } ?? []

    init(isRequired: Bool = false) {
        fallback = isRequired ? Self.emptyReasoning : []
    }

    mutating func add(_ fields: JSONMembers, at place: Int) {
        for member in fields { members[place, default: []].append(member) }
    }

    /// Returns what is added to the message at `place`.
    func members(at place: Int, _ message: ByteBuffer) -> [JSONMembers.Member] {
        if let members = members[place] { return members }
        return !fallback.isEmpty && ChatMessage.role(of: message) == .assistant ? fallback : []
    }
}
