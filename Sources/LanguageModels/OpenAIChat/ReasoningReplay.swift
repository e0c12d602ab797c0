import JSONText
import NIOCore

/// Puts what a model said beside its completions back into the messages of a request to the same
/// model, together with its own call ids. Another model gets the plain messages.
///
/// The messages stay the text that they are: members go in before a message's closing brace.
public struct ReasoningReplay: Sendable, Equatable {
    /// The completions whose reasoning goes back. Members of calls go back in any case.
    public enum Scope: String, Sendable, CaseIterable {
        /// All completions of the model.
        case all
        /// Only the completions since the last user message.
        case loop
        /// None.
        case none
    }

    /// Which reasoning goes back to the model.
    public var scope = Scope.all
    /// Whether a completion without reasoning is sent with an empty `reasoning_content`.
    public var isRequired = false

    /// Makes a rule. The parameters are the properties of the same names.
    public init(scope: Scope = .all, isRequired: Bool = false) {
        self.scope = scope
        self.isRequired = isRequired
    }

    /// Returns what a request adds to its messages, and restores the model's own call ids in them.
    ///
    /// - Parameters:
    ///   - elements: Those of the session's list, as JSON. An element that does not fit its message
    ///     is ignored: a person has edited one of the two.
    ///   - author: The model that the request goes to.
    func apply(_ elements: [ByteBuffer], by author: String, to messages: inout [ByteBuffer]) -> ReplayedReasoning {
        var replayed = ReplayedReasoning(isRequired: isRequired)
        guard !elements.isEmpty else { return replayed }
        var first = messages.startIndex
        if scope == .loop { first = (messages.lastIndex { ChatMessage.role(of: $0) == .user } ?? -1) + 1 }
        for element in elements {
            guard let entry = Entry(element), entry.author == author, messages.indices.contains(entry.place),
                ChatMessage.role(of: messages[entry.place]) == .assistant
            else { continue }
            if let calls = entry.calls { restore(calls, in: entry.place, of: &messages) }
            if scope != .none, entry.place >= first, let fields = entry.fields { replayed.add(fields.members, at: entry.place) }
        }
        return replayed
    }

    /// An element of the list.
    private struct Entry {
        var place: Int
        var author: String
        var fields: JSONSlice?
        var calls: JSONSlice?

        init?(_ element: ByteBuffer) {
            guard let json = try? JSONSlice(parsing: element) else { return nil }
            var place: Int?
            var author: String?
            for member in json.members {
                switch member.key {
                case "at": place = member.value.integer
                case "by": author = member.value.string
                case "fields": fields = member.value
                case "calls": calls = member.value
                default: break
                }
            }
            guard let place, let author else { return nil }
            (self.place, self.author) = (place, author)
        }
    }

    /// Adds to a completion's calls what the model said of them, and gives their results the same
    /// ids.
    private func restore(_ entries: JSONSlice, in index: Int, of messages: inout [ByteBuffer]) {
        guard entries.members.contains(where: { _ in true }), let message = try? JSONSlice(parsing: messages[index]),
            let calls = message["tool_calls"], calls.kind == .array
        else { return }
        var ids: [String: ByteBuffer] = [:]
        var rewritten = ByteBuffer()
        rewritten.writeStaticString("[")
        for (number, call) in calls.elements.enumerated() {
            if number > 0 { rewritten.writeStaticString(",") }
            guard let id = call["id"]?.string, let entry = entries[id], entry.kind == .object else {
                rewritten.writeImmutableBuffer(call.raw)
                continue
            }
            if let original = entry["id"], original.kind == .string { ids[id] = original.raw }
            let members = entry.members.filter { !($0.key == "id") }
            rewritten.writeImmutableBuffer(JSONEdit.object(call, replacing: "id", with: ids[id], adding: members))
        }
        rewritten.writeStaticString("]")
        messages[index] = JSONEdit.object(message, replacing: "tool_calls", with: rewritten)
        var result = index + 1
        while !ids.isEmpty, result < messages.endIndex, ChatMessage.role(of: messages[result]) == .tool {
            if let message = try? JSONSlice(parsing: messages[result]), let id = message["tool_call_id"]?.string, let original = ids[id] {
                messages[result] = JSONEdit.object(message, replacing: "tool_call_id", with: original)
            }
            result += 1
        }
    }
}
