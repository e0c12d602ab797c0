import Synchronization

extension Task where Success: Sendable {
    /// Returns the task's value. Throws when the task does not end within `timeout`, even if the
    /// task ignores its cancellation.
    public func value(within timeout: Duration = .seconds(20), _ what: String) async throws -> Success {
        let end = End()
        // This task ends with the task that it watches, or with the process.
        Task<Void, Never> {
            _ = await self.result
            end.hasCome.store(true, ordering: .releasing)
        }
        try await eventually(what, timeout: timeout) { end.hasCome.load(ordering: .acquiring) }
        return try await value
    }
}

private final class End: Sendable {
    let hasCome = Atomic<Bool>(false)
}
