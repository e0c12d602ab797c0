import JSONText
import LanguageModels
import NIOCore
import SessionStore

/// The ids of the calls that have a result in a history. Every call of an earlier step has one, so
/// these are all ids.
///
/// A set of hashes: it stays in memory in place of the messages while the model writes. Each
/// process seeds its hashes at random. Two ids with the same hash only cause a call to be renamed.
struct UsedCallIDs: Sendable {
    private var hashes: Set<Int> = []

    init() {}

    /// Adds the ids of a page of a history, or of the messages that a step adds to it.
    mutating func add(_ messages: some Sequence<ByteBuffer>) {
        for message in messages { add(message) }
    }

    /// If the message is a tool's result, adds the id of the call that it answers.
    mutating func add(_ message: ByteBuffer) {
        if let id = Self.answeredCall(message) { hashes.insert(id.hashValue) }
    }

    /// Adds the models' own ids of calls for which the history has other ids.
    mutating func add(reasoning elements: [ByteBuffer]) {
        for element in elements where !element.ends(with: #""calls":{}}"#) {
            guard let calls = (try? JSONSlice(parsing: element))?["calls"] else { continue }
            for call in calls.members {
                if let id = call.value["id"]?.string { hashes.insert(id.hashValue) }
            }
        }
    }

    func contains(_ id: String) -> Bool { hashes.contains(id.hashValue) }

    /// Returns the id of the call whose result a message is; nil for any other message.
    ///
    /// The id without its escapes: the script that closes calls and Redis's JSON library escape
    /// other characters than this program does.
    private static func answeredCall(_ message: ByteBuffer) -> String? {
        // Each message that this project stores has its role first, and a result has its call next.
        switch ChatMessage.leadingRole(of: message) {
        case .system, .user, .assistant: return nil
        case .tool, nil: break
        }
        if let id = JSONSlice.string(leading: message, behind: #"{"role":"tool","tool_call_id":"#) { return id.string }
        // A person has edited the message.
        guard let edited = try? JSONSlice(parsing: message), edited["role"]?.string == "tool" else { return nil }
        return edited["tool_call_id"]?.string
    }
}
