import NIOCore
import SessionStore

/// The ids of the calls that a history has answered. Every call of an earlier step has been, so these are all of them.
///
/// A set of hashes: it stays in memory while the model answers, in place of the messages. Hashes are seeded anew in each process. Two ids
/// that share one would only have a call renamed.
struct UsedCallIDs: Sendable {
    private var hashes: Set<Int> = []

    init() {}

    /// Takes in a page of a history, or what a step itself adds to it.
    mutating func add(_ messages: some Sequence<ByteBuffer>) {
        for message in messages {
            if let id = Self.answeredCall(message) { hashes.insert(id.hashValue) }
        }
    }

    /// Takes in what models said beside their answers: their own ids for calls that the history names otherwise.
    mutating func add(reasoning elements: [ByteBuffer]) {
        for element in elements {
            guard let calls = (try? JSONSlice(parsing: element))?["calls"] else { continue }
            for call in calls.members {
                if let id = call.value["id"]?.string { hashes.insert(id.hashValue) }
            }
        }
    }

    func contains(_ id: String) -> Bool { hashes.contains(id.hashValue) }

    /// The id that a message gives a result for; nil for a message that is no result.
    ///
    /// The id as it is, without its escapes: the script that closes calls and Redis's JSON library escape other characters than this
    /// program does.
    private static func answeredCall(_ message: ByteBuffer) -> String? {
        // As all messages are written that this project stores: the role first, then the call.
        if let id = JSONSlice.string(leading: message, behind: #"{"role":"tool","tool_call_id":"#) { return id.string }
        if let role = JSONSlice.string(leading: message, behind: #"{"role":"#), role.string != "tool" { return nil }
        // Somebody has edited it.
        guard let edited = try? JSONSlice(parsing: message), edited["role"]?.string == "tool" else { return nil }
        return edited["tool_call_id"]?.string
    }
}
