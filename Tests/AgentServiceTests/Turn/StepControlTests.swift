import Synchronization
import TestSupport
import Testing

@testable import AgentService

@Suite struct StepControlTests {
    @Test func theFirstReasonCounts() async {
        let control = StepControl()
        #expect(control.reason == nil)
        control.stop(.lost(step: 3, intent: "cancel"))
        control.stop(.draining)
        #expect(control.reason == .lost(step: 3, intent: "cancel"))
        #expect(await control.stopped() == .lost(step: 3, intent: "cancel"))
        #expect(await control.stopped() == .lost(step: 3, intent: "cancel"))
    }

    @Test func handlersAreCalledOnce() {
        let (control, calls) = (StepControl(), Calls())
        control.whenStopped { calls.count.add(1, ordering: .relaxed) }
        #expect(calls.count.load(ordering: .relaxed) == 0)
        control.stop(.draining)
        control.stop(.clientLeft)
        #expect(calls.count.load(ordering: .relaxed) == 1)
        control.whenStopped { calls.count.add(1, ordering: .relaxed) }
        #expect(calls.count.load(ordering: .relaxed) == 2)
    }

    private final class Calls: Sendable {
        let count = Atomic(0)
    }

    @Test func whoWaitsIsWoken() async throws {
        for _ in 0..<50 {
            let control = StepControl()
            let waiter = Task { await control.stopped() }
            await Task.yield()
            control.stop(.draining)
            control.stop(.lost(step: 1, intent: ""))
            #expect(try await waiter.value("the waiter is woken") == .draining)
        }
    }
}

extension StepControl {
    /// Waits for the signal.
    func stopped() async -> StopReason? {
        await withCheckedContinuation { continuation in whenStopped { continuation.resume() } }
        return reason
    }
}
