import Locks
package import NIOCore

/// Wakes one waiting task. Signals are not counted: after any number of them, the next wait returns
/// at once, and the wait after it waits.
package final class WakeSignal: Sendable {
    private struct State {
        var isSet = false
        var waiter: CheckedContinuation<Void, Never>?
        var deadline = NIODeadline.distantFuture
        /// When the earliest pending timer fires.
        var timer: NIODeadline?

        /// Returns whether no timer fires by the deadline. The caller then starts one.
        mutating func needsTimer() -> Bool {
            if let timer, timer <= deadline { return false }
            timer = deadline
            return true
        }
    }

    private let state = Guarded(State())
    private let eventLoop: any EventLoop

    /// - Parameter eventLoop: Runs the timers.
    package init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Ends the wait; without a waiter, the next wait.
    package func wake() {
        let waiter = state.withLock { state in
            state.isSet = state.waiter == nil
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// Waits for a signal since the last wait, at most for `timeout`, and no longer when the task
    /// is cancelled. At most one task may wait.
    package func next(timeout: Duration) async {
        let deadline = NIODeadline.now() + TimeAmount(timeout)
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (isReady, needsTimer) = state.withLock { state -> (Bool, Bool) in
                    guard !state.isSet, state.waiter == nil else {
                        state.isSet = false
                        return (true, false)
                    }
                    state.waiter = continuation
                    state.deadline = deadline
                    return (false, state.needsTimer())
                }
                if isReady { continuation.resume() }
                if needsTimer { startTimer(deadline) }
            }
        } onCancel: {
            wake()
        }
    }

    /// Starts a timer. Timers are never stopped: finding one among thousands would cost the event
    /// loop more than letting it fire.
    private func startTimer(_ deadline: NIODeadline) {
        eventLoop.scheduleTask(deadline: deadline) { [weak self] in self?.timerFired(deadline) }
    }

    private func timerFired(_ time: NIODeadline) {
        let (waiter, next) = state.withLock { state -> (CheckedContinuation<Void, Never>?, NIODeadline?) in
            if state.timer == time { state.timer = nil }
            guard state.waiter != nil else { return (nil, nil) }
            guard state.deadline <= time else { return (nil, state.needsTimer() ? state.deadline : nil) }
            defer { state.waiter = nil }
            return (state.waiter, nil)
        }
        waiter?.resume()
        if let next { startTimer(next) }
    }
}
