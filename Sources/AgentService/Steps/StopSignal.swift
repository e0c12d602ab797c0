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
final class StopSignal: Sendable {
    private struct State {
        var reason: StopReason?
        var handlers: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())

    var reason: StopReason? { state.withLock { $0.reason } }

    func stop(_ reason: StopReason) {
        let handlers = state.withLock { state -> [@Sendable () -> Void] in
            guard state.reason == nil else { return [] }
            state.reason = reason
            defer { state.handlers = [] }
            return state.handlers
        }
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
}
