import Synchronization
import TestSupport
import Testing

@testable import AgentService

@Suite("Stop signals")
struct StopSignalTests {
    @Test("The first reason counts")
    func theFirstReasonCounts() async {
        let stopSignal = StopSignal()
        #expect(stopSignal.reason == nil)
        stopSignal.stop(.lost(step: 3, intent: "cancel"))
        stopSignal.stop(.draining)
        #expect(stopSignal.reason == .lost(step: 3, intent: "cancel"))
        #expect(await stopSignal.stopped() == .lost(step: 3, intent: "cancel"))
        #expect(await stopSignal.stopped() == .lost(step: 3, intent: "cancel"))
    }

    @Test("Handlers run once")
    func handlersAreCalledOnce() {
        let (stopSignal, calls) = (StopSignal(), Calls())
        stopSignal.whenStopped { calls.count.add(1, ordering: .relaxed) }
        #expect(calls.count.load(ordering: .relaxed) == 0)
        stopSignal.stop(.draining)
        stopSignal.stop(.clientLeft)
        #expect(calls.count.load(ordering: .relaxed) == 1)
        stopSignal.whenStopped { calls.count.add(1, ordering: .relaxed) }
        #expect(calls.count.load(ordering: .relaxed) == 2)
    }

    private final class Calls: Sendable {
        let count = Atomic(0)
    }

    @Test("The signal wakes a waiting task")
    func whoWaitsIsWoken() async throws {
        for _ in 0..<50 {
            let stopSignal = StopSignal()
            let waiter = Task { await stopSignal.stopped() }
            await Task.yield()
            stopSignal.stop(.draining)
            stopSignal.stop(.lost(step: 1, intent: ""))
            #expect(try await waiter.value("the waiter is woken") == .draining)
        }
    }
}

extension StopSignal {
    /// Waits for the signal, and returns its reason.
    func stopped() async -> StopReason? {
        await withCheckedContinuation { continuation in whenStopped { continuation.resume() } }
        return reason
    }
}
