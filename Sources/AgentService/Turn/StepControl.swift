import Synchronization

/// Why a step is stopped before its model has finished.
enum StopReason: Sendable, Equatable {
    /// The lease is another replica's; `step` is the session's latest, 0 when the session is gone.
    case lost(step: Int, intent: String)
    /// The time that the server gives its running steps after SIGTERM is over.
    case draining
    /// Its client has left, and wanted the step to end then.
    case clientLeft
}

/// A one-shot signal that stops a running step. The first reason counts.
final class StepControl: Sendable {
    private struct State {
        var reason: StopReason?
        var waiter: CheckedContinuation<StopReason?, Never>?
        var isCancelled = false
    }

    private let state = Mutex(State())

    var reason: StopReason? { state.withLock { $0.reason } }

    func stop(_ reason: StopReason) {
        let waiter = state.withLock { state -> CheckedContinuation<StopReason?, Never>? in
            guard state.reason == nil else { return nil }
            state.reason = reason
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: reason)
    }

    /// Waits for the signal; nil when the task is cancelled first. One waiter only.
    func stopped() async -> StopReason? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer = state.withLock { state -> StopReason?? in
                    if let reason = state.reason { return .some(reason) }
                    if state.isCancelled { return .some(nil) }
                    state.waiter = continuation
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.isCancelled = true
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume(returning: nil)
        }
    }
}
