import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import SessionStore

@Suite("Wake signals", .timeLimit(.minutes(2)))
struct WakeSignalTests {
    let signal = WakeSignal(eventLoop: MultiThreadedEventLoopGroup.singleton.any())

    @Test("A signal before the wait is not lost")
    func aSignalBeforeTheWaitIsNotLost() async throws {
        for _ in 0..<3 { signal.wake() }
        try await within(.seconds(20), "the wait ends at once") { [signal] in await signal.next(timeout: .seconds(3600)) }
        // Three signals count as one.
        let start = ContinuousClock.now
        await signal.next(timeout: .milliseconds(30))
        #expect(ContinuousClock.now - start >= .milliseconds(29))
    }

    @Test("A signal ends the wait")
    func aSignalEndsTheWait() async throws {
        for _ in 0..<100 {
            let waiting = Task { [signal] in await signal.next(timeout: .seconds(3600)) }
            signal.wake()
            try await waiting.value("the wait ends")
        }
    }

    @Test("A cancelled task stops waiting")
    func theTaskThatIsCancelledWaitsNoLonger() async throws {
        let waiting = Task { [signal] in await signal.next(timeout: .seconds(3600)) }
        waiting.cancel()
        try await waiting.value("the wait ends")
    }

    /// Shorter waits follow longer ones whose timers still run, and longer waits follow shorter
    /// ones.
    @Test("Each wait has its own timeout")
    func eachWaitHasItsOwnTimeout() async throws {
        for timeout in [Duration.milliseconds(20), .milliseconds(40), .milliseconds(10)] {
            let waiting = Task { [signal] in await signal.next(timeout: .seconds(3600)) }
            signal.wake()
            try await waiting.value("the long wait ends")
            let start = ContinuousClock.now
            try await within(.seconds(20), "the short wait ends") { [signal] in await signal.next(timeout: timeout) }
            #expect(ContinuousClock.now - start >= timeout - .milliseconds(1))
        }
    }

    /// After every signal, each wait ends that is already running or begins later.
    @Test("No signal is lost")
    func noSignalIsLost() async throws {
        final class Written: Sendable { let number = Atomic(0) }
        let (written, signal) = (Written(), signal)
        let reader = Task {
            while written.number.load(ordering: .acquiring) < 20_000 { await signal.next(timeout: .seconds(3600)) }
        }
        for number in 1...20_000 {
            written.number.store(number, ordering: .releasing)
            signal.wake()
        }
        try await reader.value("the last value is seen")
    }
}
