public import NIOCore

/// All sessions of a user with their histories, one after another: `for try await part in …`.
///
/// Each element holds at most about ``StoreConfiguration/historyPageBytes``. A session that changes
/// meanwhile comes as it is when its part is read.
public struct SubjectExport: AsyncSequence, Sendable {
    /// A part of the export.
    public enum Element: Sendable {
        /// A session. Its messages follow.
        case session(SessionID, SessionState)
        /// Messages of that session as JSON, from `offset` on.
        case messages(SessionID, offset: Int, [ByteBuffer])
    }

    public typealias Failure = any Error

    let store: RedisSessionStore
    let subject: Subject
    let tenant: TenantID

    /// Makes an iterator, which reads from Redis as the caller asks for parts.
    public func makeAsyncIterator() -> Iterator { Iterator(export: self) }

    /// Reads the export part by part.
    public struct Iterator: AsyncIteratorProtocol, Sendable {
        private static let page = 50

        private let export: SubjectExport
        private var sessions: [SessionID] = []
        private var cursor: SessionCursor?
        private var hasMore = true
        /// The session whose messages come next, and the number of those that came.
        private var reading: (session: SessionID, offset: Int)?

        init(export: SubjectExport) {
            self.export = export
        }

        /// Returns the next part; nil after the last one.
        ///
        /// - Throws: ``StoreError``
        public mutating func next() async throws -> Element? {
            while true {
                if let (session, offset) = reading {
                    let page = try await export.store.history(session, offset: offset, limit: .max / 2, as: requester)
                    if let page, !page.messages.isEmpty {
                        reading = (session, offset + page.messages.count)
                        return .messages(session, offset: offset, page.messages)
                    }
                    reading = nil
                }
                if let session = sessions.popLast() {
                    guard let state = try await export.store.state(session, as: requester),
                        export.subject.isNamed(state.subject ?? "")
                    else { continue }
                    reading = (session, 0)
                    return .session(session, state)
                }
                guard hasMore else { return nil }
                let page = try await export.store.list(export.tenant, after: cursor, limit: Self.page, as: requester)
                sessions = page.sessions.map(\.session).reversed()
                cursor = page.next
                hasMore = page.next != nil
            }
        }

        private var requester: Requester { .subject(export.subject) }
    }
}

extension RedisSessionStore {
    /// Returns all that a user's sessions hold, without the logs of their steps.
    public func export(_ subject: Subject, in tenant: TenantID) -> SubjectExport {
        SubjectExport(store: self, subject: subject, tenant: tenant)
    }
}
