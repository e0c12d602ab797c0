import JSONText
import NIOCore

/// Writes a history into a request, in one pass and with one copy of each message. What is stored
/// stays as it is.
///
/// A longer history only adds to what a shorter one sends, except to its last message. Providers'
/// caches depend on that, and so does reasoning that is bound to what came before it.
struct OutgoingMessages {
    /// Where a user's message follows a tool's result. In such a gap the model was to answer the
    /// result, but its step failed or its calls were cancelled. Templates that want user and
    /// assistant to take turns, and that pass over calls and results, see two users in a row there.
    private(set) var gaps: [Int] = []

    private let form: RequestForm
    private let fillsGaps: Bool
    private var toolNames = ToolMessageNames()
    private var isEmpty = true
    /// The role of the message that was written last; nil for one that does not begin with its
    /// role.
    private var lastRole: ChatMessage.Role?
    /// User messages that are not written yet, since more of them may follow.
    private var user: ByteBuffer?
    private var furtherUsers: [ByteBuffer] = []

    /// What fills a gap, and the comma behind it.
    static let gapFillerAndComma = ByteBuffer(string: #"{"role":"assistant","content":"(no answer)"},"#)

    private init(form: RequestForm, fillsGaps: Bool) {
        self.form = form
        self.fillsGaps = fillsGaps
    }

    /// Appends the messages to `body`, with commas between them.
    ///
    /// - Parameters:
    ///   - reasoning: What is added to messages, by their places in `messages`.
    ///   - fillsGaps: Whether a message is put into each gap. Otherwise the caller gets the gaps'
    ///     places in `body`.
    static func write(
        _ messages: [ByteBuffer], adding reasoning: ReplayedReasoning = ReplayedReasoning(), form: RequestForm, fillsGaps: Bool,
        into body: inout ByteBuffer
    ) -> [Int] {
        var outgoing = OutgoingMessages(form: form, fillsGaps: fillsGaps)
        for (index, message) in messages.enumerated() {
            outgoing.write(message, adding: reasoning.members(at: index, message), into: &body)
        }
        outgoing.writeUsers(into: &body)
        return outgoing.gaps
    }

    private mutating func write(_ message: ByteBuffer, adding members: [JSONMembers.Member], into body: inout ByteBuffer) {
        let role = ChatMessage.leadingRole(of: message)
        switch role {
        case .user:
            if user == nil { user = message } else { furtherUsers.append(message) }
            return
        case .assistant where EmptyCompletion.matches(message): return
        case .system, .assistant, .tool, nil: writeUsers(into: &body)
        }
        let isFirst = isEmpty
        separate(before: role, in: &body)
        switch role {
        case .system where isFirst && form.systemRole == .developer:
            Self.write(message, replacing: #"{"role":"system""#, with: #"{"role":"developer""#, into: &body)
        case .tool where form.toolNames:
            if let name = toolNames.missingName(of: message) {
                Self.write(message, replacing: #"{"role":"tool""#, with: #"{"role":"tool","name":"#, name, into: &body)
            } else {
                body.writeImmutableBuffer(message)
            }
        case .system, .user, .assistant, .tool, nil:
            if role == .assistant, form.toolNames { toolNames.note(message) }
            JSONEdit.write(message, adding: members, into: &body)
        }
    }

    /// Writes the user messages that wait, as one where that is possible: the templates of some
    /// models refuse two in a row.
    private mutating func writeUsers(into body: inout ByteBuffer) {
        guard let first = user.take() else { return }
        separate(before: .user, in: &body)
        guard !furtherUsers.isEmpty else {
            body.writeImmutableBuffer(first)
            return
        }
        let users = [first] + furtherUsers
        furtherUsers = []
        if let joined = UserMessageJoiner.join(users) {
            body.writeImmutableBuffer(joined)
        } else {
            for (index, message) in users.enumerated() {
                if index > 0 { separate(before: .user, in: &body) }
                body.writeImmutableBuffer(message)
            }
        }
    }

    /// Writes what stands between the last message and the next one.
    private mutating func separate(before role: ChatMessage.Role?, in body: inout ByteBuffer) {
        if !isEmpty { body.writeInteger(UInt8(ascii: ",")) }
        if lastRole == .tool, role == .user {
            if fillsGaps {
                body.writeImmutableBuffer(Self.gapFillerAndComma)
            } else {
                gaps.append(body.writerIndex)
            }
        }
        isEmpty = false
        lastRole = role
    }

    /// Writes a message with another beginning.
    private static func write(
        _ message: ByteBuffer, replacing start: StaticString, with other: StaticString, _ string: String? = nil, into body: inout ByteBuffer
    ) {
        body.writeStaticString(other)
        if let string { body.writeJSONString(string) }
        var rest = message
        rest.moveReaderIndex(forwardBy: start.utf8CodeUnitCount)
        body.writeImmutableBuffer(rest)
    }
}
