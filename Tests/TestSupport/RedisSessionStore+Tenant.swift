package import NIOCore
package import SessionStore

/// Calls in the name of the whole standard tenant, for tests that are not about owners.
extension RedisSessionStore {
    @discardableResult
    package func begin(_ begin: BeginStep) async throws(StoreError) -> BeginOutcome { try await self.begin(begin, as: .tenant) }

    package func takeOver(_ takeOver: TakeOver) async throws(StoreError) -> TakeOverOutcome {
        try await self.takeOver(takeOver, as: .tenant)
    }

    package func state(_ session: SessionID) async throws(StoreError) -> SessionState? { try await state(session, as: .tenant) }

    package func look(_ session: SessionID) async throws(StoreError) -> StepView { try await look(session, as: .tenant) }

    package func history(_ session: SessionID, offset: Int, limit: Int) async throws(StoreError) -> HistoryPage? {
        try await history(session, offset: offset, limit: limit, as: .tenant)
    }

    package func historyBytes(_ session: SessionID) async throws(StoreError) -> Int {
        try await historyBytes(session, as: .tenant)
    }

    package func messages(_ session: SessionID, in range: Range<Int>) async throws(StoreError) -> [ByteBuffer] {
        try await messages(session, in: range, as: .tenant)
    }

    package func journal(_ session: SessionID) async throws(StoreError) -> (lines: [ByteBuffer], isComplete: Bool) {
        try await journal(session, as: .tenant)
    }

    package func log(
        _ session: SessionID, afterStep step: Int, sequence: Int, openingOf opened: Int? = nil, limit: Int
    ) async throws(StoreError) -> LogView {
        try await log(session, afterStep: step, sequence: sequence, openingOf: opened, limit: limit, as: .tenant)
    }

    @discardableResult
    package func rewind(_ session: SessionID, to length: Int, expected: Int? = nil) async throws(StoreError) -> RewindOutcome {
        try await rewind(session, to: length, expected: expected, as: .tenant)
    }

    @discardableResult
    package func delete(_ session: SessionID) async throws(StoreError) -> Bool { try await delete(session, as: .tenant) }

    package func list(after cursor: SessionCursor?, limit: Int) async throws(StoreError) -> SessionPage {
        try await list(.standard, after: cursor, limit: limit, as: .tenant)
    }
}
