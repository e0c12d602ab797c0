/// A condition that did not become true in time.
public struct NeverHappened: Error, CustomStringConvertible {
    public var description: String

    public init(description: String) {
        self.description = description
    }
}

/// Waits until `condition` holds, and throws when it does not hold within `timeout`. Tests wait
/// with it for conditions, never for a fixed time.
public func eventually(
    _ what: String, timeout: Duration = .seconds(20), _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now.advanced(by: timeout)
    while true {
        if try await condition() { return }
        guard ContinuousClock.now < deadline else { throw NeverHappened(description: "never happened: \(what)") }
        try await Task.sleep(for: .milliseconds(3))
    }
}

/// Runs `body`, and throws when it takes longer than `timeout`, so that a test that hangs names the
/// place.
public func within<Value: Sendable>(
    _ timeout: Duration = .seconds(30), _ what: String, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Value.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: timeout)
            throw NeverHappened(description: "took longer than \(timeout): \(what)")
        }
        defer { group.cancelAll() }
        guard let value = try await group.next() else { throw NeverHappened(description: what) }
        return value
    }
}
