import JSONText
import NIOCore
import SessionStore

/// A history as one request sends it. What is stored stays as it is.
///
/// A longer history only adds to what a shorter one sends, except to its last message: providers' caches, and reasoning that is
/// bound to what came before it, depend on that.
enum OutgoingMessages {
    static func written(_ history: [ByteBuffer], form: RequestForm, strictTurns: Bool) -> [ByteBuffer] {
        var messages = history
        if messages.contains(where: EmptyAnswers.contains) { messages.removeAll(where: EmptyAnswers.contains) }
        if form.toolNames { ToolMessageNames.add(to: &messages) }
        if strictTurns { messages = bridged(messages) }
        if UserMessageJoiner.isNeeded(messages) { messages = UserMessageJoiner.joined(messages) }
        if form.systemRole == .developer, let first = messages.first, let renamed = asDeveloper(first) { messages[0] = renamed }
        return messages
    }

    /// The system prompt under its newer name; nil for another message.
    private static func asDeveloper(_ message: ByteBuffer) -> ByteBuffer? {
        let role = #"{"role":"system""#
        guard message.readableBytesView.starts(with: role.utf8) else { return nil }
        var renamed = ByteBuffer()
        renamed.reserveCapacity(message.readableBytes + 8)
        renamed.writeStaticString(#"{"role":"developer""#)
        renamed.writeImmutableBuffer(
            message.getSlice(at: message.readerIndex + role.utf8.count, length: message.readableBytes - role.utf8.count) ?? ByteBuffer())
        return renamed
    }

    /// Whether a user writes where a model was to answer results: after a step that failed, or calls that were cancelled. Templates
    /// that want user and assistant by turns, and pass over calls and results, see two users in a row there.
    static func isGap(_ message: ByteBuffer, _ next: ByteBuffer) -> Bool {
        ChatMessage.hasRole("user", next) && ChatMessage.hasRole("tool", message)
    }

    /// What fills such a gap.
    static let unanswered = ByteBuffer(string: #"{"role":"assistant","content":"(no answer)"}"#)

    private static func bridged(_ messages: [ByteBuffer]) -> [ByteBuffer] {
        var bridged: [ByteBuffer] = []
        bridged.reserveCapacity(messages.count)
        for (index, message) in messages.enumerated() {
            if index > 0, isGap(messages[index - 1], message) { bridged.append(unanswered) }
            bridged.append(message)
        }
        return bridged
    }
}

/// Answers that say nothing and call nothing. Templates of many models refuse them, and they tell a model nothing.
enum EmptyAnswers {
    static func contains(_ message: ByteBuffer) -> Bool {
        guard message.begins(with: #"{"role":"assistant""#) else { return false }
        // Almost all answers begin with a text that is not empty, or go on with calls.
        let text: StaticString = #"{"role":"assistant","content":""#
        if message.begins(with: text), !message.begins(with: "\"", at: text.utf8CodeUnitCount) { return false }
        if message.begins(with: #"{"role":"assistant","content":null,"tool_calls":[{"#) { return false }
        guard let answer = try? JSONSlice(parsing: message), (answer["tool_calls"]?.elements.contains { _ in true }) != true,
            answer["function_call"].map({ $0.isNull }) ?? true, answer["refusal"].map({ $0.isNull }) ?? true
        else { return false }
        guard let content = answer["content"] else { return true }
        return content.isNull || content.string == "" || content.kind == .array && !content.elements.contains { _ in true }
    }
}
