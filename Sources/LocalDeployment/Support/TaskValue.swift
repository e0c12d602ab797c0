import Synchronization

extension Task where Success: Sendable {
    /// The task's value. Fails when it does not come within `timeout`, even if the task does not listen to its cancellation.
    public func value(within timeout: Duration = .seconds(20), _ what: String) async throws -> Success {
        let end = End()
        // Ends with the task that it watches, or with the process.
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
