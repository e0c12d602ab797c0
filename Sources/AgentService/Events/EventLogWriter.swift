public import ServiceLifecycle
import Synchronization

/// The clock of all running steps' logs on this replica: one task, however many steps.
public final class EventLogWriter: Service {
    private struct State {
        var logs: [StepName: StepLog] = [:]
        var waiter: CheckedContinuation<Void, Never>?
        var isStopped = false
    }

    private let state = Mutex(State())
    private let tick: Duration

    public init(tick: Duration = .milliseconds(10)) {
        self.tick = tick
    }

    func add(_ log: StepLog) {
        let waiter = state.withLock { state in
            state.logs[log.name] = log
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    func remove(_ log: StepLog) {
        state.withLock { state in
            if state.logs[log.name] === log { state.logs[log.name] = nil }
        }
    }

    /// Has the log of a step ask at once whether it still holds the lease; nothing where this replica does not run it.
    func check(_ name: StepName) {
        state.withLock { $0.logs[name] }?.check()
    }

    public func run() async throws {
        try? await cancelWhenGracefulShutdown {
            try await withTaskCancellationHandler {
                while !Task.isCancelled {
                    await self.waitForLogs()
                    try await Task.sleep(for: self.tick)
                    let now = ContinuousClock.now
                    for log in self.state.withLock({ Array($0.logs.values) }) { log.tick(now: now) }
                }
            } onCancel: {
                self.stop()
            }
        }
    }

    /// Sleeps while no step runs.
    private func waitForLogs() async {
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                if state.isStopped || !state.logs.isEmpty { return true }
                state.waiter = continuation
                return false
            }
            if isReady { continuation.resume() }
        }
    }

    private func stop() {
        let waiter = state.withLock { state in
            state.isStopped = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }
}
