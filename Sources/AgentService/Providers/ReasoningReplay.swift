import JSONText
internal import NIOCore
internal import SessionStore

/// Puts what a model said beside its answers back into the messages of a request to the same model, and its own
/// call ids with it. Another model gets the plain messages.
///
/// The messages stay the text that they are: members go in before a message's closing brace.
public struct ReasoningReplay: Sendable, Equatable {
    /// Which answers' reasoning goes back. Members of calls go back in any case.
    public enum Scope: String, Sendable, CaseIterable {
        case all
        /// Only that of the answers since the last user message.
        case loop
        case none
    }

    public var scope = Scope.all
    /// Whether an answer without reasoning is sent with an empty `reasoning_content`.
    public var isRequired = false

    public init(scope: Scope = .all, isRequired: Bool = false) {
        self.scope = scope
        self.isRequired = isRequired
    }

    /// Changes `messages`.
    ///
    /// - Parameters:
    ///   - elements: Those of the session's list, as JSON. One that does not fit its message is ignored: somebody
    ///     has edited one of the two.
    ///   - author: The model that the request goes to.
    func apply(_ elements: [ByteBuffer], by author: String, to messages: inout [ByteBuffer]) {
        var first = messages.startIndex
        if scope == .loop { first = (messages.lastIndex { ChatRole(of: $0) == .user } ?? -1) + 1 }
        var complete: Set<Int> = []
        for element in elements {
            guard let entry = try? JSONSlice(parsing: element), let index = entry["at"]?.integer, messages.indices.contains(index),
                entry["by"]?.string == author, ChatRole(of: messages[index]) == .assistant
            else { continue }
            if let calls = entry["calls"] { restore(calls, in: index, of: &messages) }
            guard scope != .none, index >= first, let fields = entry["fields"], let message = Self.adding(fields, to: messages[index])
            else { continue }
            messages[index] = message
            complete.insert(index)
        }
        guard isRequired else { return }
        let empty = ByteBuffer(string: #"{"reasoning_content":""}"#)
        guard let fields = try? JSONSlice(parsing: empty) else { return }
        for index in messages.indices where !complete.contains(index) && ChatRole(of: messages[index]) == .assistant {
            if let message = Self.adding(fields, to: messages[index]) { messages[index] = message }
        }
    }

    /// Gives an answer's calls what the model said of them, and their results the same ids.
    private func restore(_ entries: JSONSlice, in index: Int, of messages: inout [ByteBuffer]) {
        guard entries.members.contains(where: { _ in true }), let message = try? JSONSlice(parsing: messages[index]),
            let calls = message["tool_calls"], calls.kind == .array
        else { return }
        var ids: [String: ByteBuffer] = [:]
        var rewritten = ByteBuffer()
        for call in calls.elements {
            rewritten.writeStaticString(rewritten.readableBytes == 0 ? "[" : ",")
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
        while !ids.isEmpty, result < messages.endIndex, ChatRole(of: messages[result]) == .tool {
            if let message = try? JSONSlice(parsing: messages[result]), let id = message["tool_call_id"]?.string, let original = ids[id] {
                messages[result] = JSONEdit.object(message, replacing: "tool_call_id", with: original)
            }
            result += 1
        }
    }

    /// - Returns: Nil if there is nothing to add, or if the message is not an object.
    private static func adding(_ fields: JSONSlice, to message: ByteBuffer) -> ByteBuffer? {
        let members = fields.members.map { $0 }
        guard !members.isEmpty else { return nil }
        return JSONEdit.adding(members, to: message)
    }
}
