import Locks
import TestSupport
import Testing

@testable import AgentService

/// A request always gets a result, and only once.
@Suite("Results that are given exactly once")
struct PendingResultTests {
    private typealias Pending = PendingResult<Int>

    /// - Returns: The result that the caller received, and the lines that were logged meanwhile.
    private func result(
        of give: @escaping @Sendable (consuming PendingResult<Int>) -> Void
    ) async -> (Result<Int, TurnError>, log: String) {
        let lines = LogCollector()
        let result = await withCheckedContinuation { (continuation: Pending.Continuation) in
            give(PendingResult(continuation, logger: lines.logger))
        }
        return (result, lines.text)
    }

    private func isLost(_ result: Result<Int, TurnError>) -> Bool {
        if case .failure(.lostResult) = result { true } else { false }
    }

    @Test("A dropped result fails its caller and is logged")
    func aDroppedResultFailsItsCallerAndIsLogged() async {
        let (result, log) = await result { _ in }
        #expect(isLost(result) && log.contains("internal_error"))
    }

    /// The tested defect is a path that returns early, without a result.
    @Test("A path without a result fails its caller")
    func aPathWithoutAResultFailsItsCaller() async {
        let (result, _) = await result { pending in
            guard Int("x") != nil else { return }
            pending.succeed(1)
        }
        #expect(isLost(result))
    }

    @Test("A given result is not given again")
    func aGivenResultIsNotGivenAgain() async throws {
        let (success, log) = await result { $0.succeed(7) }
        #expect(try success.get() == 7 && log.isEmpty)
        let (failure, none) = await result { $0.fail(.draining) }
        guard case .failure(.draining) = failure else { Issue.record("\(failure)"); return }
        #expect(none.isEmpty)
    }

    /// A checked continuation ends the process if it is resumed twice, so that the test would
    /// notice a second result.
    @Test("A decided result is given once, before the next action")
    func aDecidedResultIsGivenOnceAndBeforeWhatFollows() async throws {
        let isOver = Guarded(false)
        let (result, log) = await result { pending in
            let epilogue = pending.decided(.success(3)) { isOver.withLock { $0 = true } }
            #expect(!isOver.withLock { $0 })
            epilogue.run()
        }
        #expect(try result.get() == 3 && log.isEmpty && isOver.withLock { $0 })
        let (dropped, nothing) = await self.result { _ = $0.decided(.success(4)) }
        #expect(try dropped.get() == 4 && nothing.isEmpty)
    }
}
