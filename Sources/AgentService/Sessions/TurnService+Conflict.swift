import SessionStore

extension TurnService {
    /// A running step that a message may have to wait for.
    struct Conflict: Sendable {
        var step: Int
        var leaseLeft: Duration
        /// The step's replica is lost.
        var isOrphaned = false

        var error: TurnError { .busy(step: step, retryAfter: leaseLeft) }
    }

    /// Resolves a conflict as the request asks. When this returns, the message may be tried again.
    func resolve(
        _ conflict: Conflict, for request: TurnRequest, stream: ClientStream, deadline: ContinuousClock.Instant
    ) async throws(TurnError) {
        if conflict.isOrphaned, request.onConflict != .interrupt {
            await takeOverIfPossible(request.session, step: conflict.step)
        }
        switch request.onConflict {
        case .reject:
            throw conflict.error
        case .wait:
            try await wait(for: conflict, of: request, stream: stream, deadline: deadline) { !$0.isRunning }
        case .interrupt:
            let view = try await look(request.session, as: request.requester)
            if view.isBeingCancelled, !view.isOrphaned {
                // Another request is ending the step. A second takeover would only delay that.
                try await wait(for: conflict, of: request, stream: stream, deadline: deadline) { !$0.isBeingCancelled }
            } else if view.isRunning {
                _ = try await end(request.session, step: view.step, as: request.requester)
            }
        }
    }

    /// Waits until a session's running step is over. Writes nothing meanwhile.
    ///
    /// - Throws: ``TurnError/busy(step:retryAfter:)`` at the deadline.
    private func wait(
        for conflict: Conflict, of request: TurnRequest, stream: ClientStream, deadline: ContinuousClock.Instant,
        isOver: (StepView) -> Bool
    ) async throws(TurnError) {
        // A message that waits takes a slot like a step that runs: so there is a bound.
        do throws(StepScheduler.Refusal) { try scheduler.enter() } catch { throw TurnError(error) }
        defer { scheduler.leave() }
        let session = request.session
        let wakes = store.wakes(of: session)
        var conflict = conflict
        while stream.isOpen, ContinuousClock.now < deadline {
            if scheduler.isDraining { throw .draining }
            let view = try await look(session, as: request.requester)
            if isOver(view) { return }
            if view.isOrphaned { await takeOverIfPossible(session, step: view.step) }
            conflict = Conflict(step: view.step, leaseLeft: view.leaseLeft, isOrphaned: view.isOrphaned)
            // Not every end of a wait is a write, and a wake-up can be lost.
            await wakes.next(timeout: min(.milliseconds(250), ContinuousClock.now.duration(to: deadline)))
        }
        throw conflict.error
    }
}
