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
        var handlers: [@Sendable () -> Void] = []
        var isCancelled = false
    }

    private let state = Mutex(State())

    var reason: StopReason? { state.withLock { $0.reason } }

    func stop(_ reason: StopReason) {
        let (waiter, handlers) = state.withLock { state -> (CheckedContinuation<StopReason?, Never>?, [@Sendable () -> Void]) in
            guard state.reason == nil else { return (nil, []) }
            state.reason = reason
            defer { (state.waiter, state.handlers) = (nil, []) }
            return (state.waiter, state.handlers)
        }
        waiter?.resume(returning: reason)
        for handler in handlers { handler() }
    }

    /// Has `handler` called once, when the signal comes; at once where it has come already.
    func whenStopped(_ handler: @escaping @Sendable () -> Void) {
        let isStopped = state.withLock { state in
            if state.reason == nil { state.handlers.append(handler) }
            return state.reason != nil
        }
        if isStopped { handler() }
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
