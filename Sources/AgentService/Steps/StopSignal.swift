import Locks

/// Why a step, or a follower, stops before its end.
enum StopReason: Sendable, Equatable {
    /// Another replica has the lease; `step` is the session's latest step, 0 when the session is
    /// gone.
    case lost(step: Int, intent: String)
    /// The time that a server gives its running steps after SIGTERM is over.
    case draining
    /// The step's client has left, and asked for the step to end then.
    case clientLeft
}

/// Stops a running step once. The first reason counts.
final class StopSignal: Sendable {
    private struct State {
        var reason: StopReason?
        var handlers: [@Sendable () -> Void] = []
    }

    private let state = Guarded(State())

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

    /// Calls `handler` once when the signal comes; at once if it has come.
    func whenStopped(_ handler: @escaping @Sendable () -> Void) {
        let isStopped = state.withLock { state in
            if state.reason == nil { state.handlers.append(handler) }
            return state.reason != nil
        }
        if isStopped { handler() }
    }
}
