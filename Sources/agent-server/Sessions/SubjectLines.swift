import JSONText
import NIOCore
import SessionStore

/// The lines of a subject's export: each session with its messages, then what the subject has used,
/// and a last line that says that nothing is missing.
struct SubjectLines: Sendable {
    private enum Next { case sessions, usage, end, nothing }

    private let store: RedisSessionStore
    private let account: Account
    private var parts: SubjectExport.Iterator
    private var sessions = 0
    private var next = Next.sessions

    init(store: RedisSessionStore, subject: Subject, tenant: TenantID) {
        self.store = store
        account = Account(subject, tenant: tenant)
        parts = store.export(subject, in: tenant).makeAsyncIterator()
    }

    /// Returns the next line with its line break; nil behind the last one.
    mutating func line() async throws -> ByteBuffer? {
        switch next {
        case .sessions:
            if let part = try await parts.next() { return line(of: part) }
            next = .usage
            return try await line()
        case .usage:
            next = .end
            let today = try await store.today()
            let days = UsageDay(number: today.number - RedisSessionStore.usageDays + 1)...today
            var line = ByteBuffer(string: #"{"type":"usage","#)
            line.writeMembers(of: try await store.usage(of: account, days: days))
            line.writeString("}\n")
            return line
        case .end:
            next = .nothing
            return ByteBuffer(string: "{\"type\":\"end\",\"sessions\":\(sessions)}\n")
        case .nothing:
            return nil
        }
    }

    private mutating func line(of part: SubjectExport.Element) -> ByteBuffer {
        switch part {
        case .session(let session, let state):
            sessions += 1
            var line = ByteBuffer(string: #"{"type":"session","#)
            line.writeMembers(of: state, session: session)
            line.writeString("}\n")
            return line
        case .messages(let session, let offset, let messages):
            return Self.line(messages, from: offset, of: session)
        }
    }

    private static func line(_ messages: [ByteBuffer], from offset: Int, of session: SessionID) -> ByteBuffer {
        var line = ByteBuffer(string: #"{"type":"messages","session_id":"#)
        line.writeJSONString(session.text)
        line.writeString(",\"offset\":\(offset),\"messages\":[")
        for (index, message) in messages.enumerated() {
            if index > 0 { line.writeString(",") }
            line.writeImmutableBuffer(offset + index == 0 ? AgentRoutes.withoutPrompt(message) : message)
        }
        line.writeString("]}\n")
        return line
    }
}
