import JSONText
import LanguageModels
import NIOCore
import SessionStore

/// The ids of the calls that a history has answered. Each call of an earlier step has been answered, so these are all ids.
///
/// A set of hashes: it stays in memory while the model writes, in place of the messages. Each process has another seed for its
/// hashes. Two ids with the same hash would only cause a call to be renamed.
struct UsedCallIDs: Sendable {
    private var hashes: Set<Int> = []

    init() {}

    /// Adds the ids that messages answer: a page of a history, or what a step itself adds to it.
    mutating func add(_ messages: some Sequence<ByteBuffer>) {
        for message in messages { add(message) }
    }

    /// Adds the id that a message answers, if it is a result.
    mutating func add(_ message: ByteBuffer) {
        if let id = Self.answeredCall(message) { hashes.insert(id.hashValue) }
    }

    /// Adds the models' own ids for calls that the history names otherwise, from the elements of the session's reasoning.
    mutating func add(reasoning elements: [ByteBuffer]) {
        for element in elements where !element.ends(with: #""calls":{}}"#) {
            guard let calls = (try? JSONSlice(parsing: element))?["calls"] else { continue }
            for call in calls.members {
                if let id = call.value["id"]?.string { hashes.insert(id.hashValue) }
            }
        }
    }

    func contains(_ id: String) -> Bool { hashes.contains(id.hashValue) }

    /// Returns the id that a message gives a result for; nil for a message that is not a result.
    ///
    /// The id comes without its escapes: the script that closes calls and Redis's JSON library escape other characters than this
    /// program does.
    private static func answeredCall(_ message: ByteBuffer) -> String? {
        // Each message that this project stores has its role first, and a result has its call next.
        switch ChatMessage.leadingRole(of: message) {
        case .system, .user, .assistant: return nil
        case .tool, nil: break
        }
        if let id = JSONSlice.string(leading: message, behind: #"{"role":"tool","tool_call_id":"#) { return id.string }
        // A person has edited it.
        guard let edited = try? JSONSlice(parsing: message), edited["role"]?.string == "tool" else { return nil }
        return edited["tool_call_id"]?.string
    }
}
