import Logging
public import SessionStore

extension TurnService {
    /// Takes over a step whose replica is lost, and runs it here without a client: clients follow
    /// it.
    ///
    /// Does nothing while the step's lease has not run out, for a while after Redis was away, and
    /// on a replica that drains.
    ///
    /// - Parameter isStale: Whether the step's lease would run out too late, since Redis's clock
    ///   was set back.
    /// - Returns: Whether the step runs here now.
    /// - Throws: ``TurnError``
    @discardableResult
    package func takeOver(_ session: SessionID, step: Int, isStale: Bool = false) async throws(TurnError) -> Bool {
        try await seize(TakeOver(session: session, step: step, reason: isStale ? .stale : .lost), as: .tenant, returnsAtEnd: false)
    }

    /// Takes over a lost step before a sweeper finds it. If that fails, a sweeper takes it over.
    func takeOverIfPossible(_ session: SessionID, step: Int) async {
        do throws(TurnError) {
            try await takeOver(session, step: step)
        } catch {
            logger.debug("a lost step could not be taken over", metadata: ["session": "\(session)", "error": "\(error)"])
        }
    }

    /// Takes over a lost step without waiting for it.
    func takeOverAside(_ session: SessionID, step: Int) {
        do throws(StepScheduler.Refusal) {
            try scheduler.start {
                await self.takeOverIfPossible(session, step: step)
                return .end()
            }
        } catch {
            logger.debug("a lost step is left to other replicas", metadata: ["session": "\(session)", "error": "\(error)"])
        }
    }

    /// Ends a running step on whichever replica it runs. The text that the log has of it stays in
    /// the history.
    ///
    /// - Parameters:
    ///   - session: The session.
    ///   - step: The step to cancel, or a step that it replaces; nil for the running one.
    ///   - requester: In whose name the step is cancelled.
    /// - Returns: The step that was cancelled. Its end is stored by then, with two exceptions: if
    ///   Redis went away, a sweeper ends the step; if another request was cancelling it already,
    ///   that request waits for the end.
    /// - Throws: ``TurnError/notRunning``, ``TurnError/noSession``, and what every request may
    ///   throw.
    public func cancel(_ session: SessionID, step: Int?, as requester: Requester) async throws(TurnError) -> Int {
        // Once more if the step was taken over between the read and the takeover: at most as often
        // as it may be begun.
        for _ in 0...store.configuration.maximumAttempts {
            let view = try await look(session, as: requester)
            guard view.isRunning, step.map(view.answers) ?? true else {
                throw view.step == 0 ? .noSession : .notRunning
            }
            if view.isBeingCancelled, !view.isOrphaned { return view.replaces }
            if try await end(session, step: view.step, as: requester) { return view.step }
        }
        throw .notRunning
    }

    /// Takes over a step and ends it as cancelled.
    ///
    /// - Returns: False if another step runs by now, or none.
    func end(_ session: SessionID, step: Int, as requester: Requester) async throws(TurnError) -> Bool {
        try await seize(TakeOver(session: session, step: step, reason: .cancel), as: requester, returnsAtEnd: true)
    }

    func look(_ session: SessionID, as requester: Requester) async throws(TurnError) -> StepView {
        do throws(StoreError) { return try await store.look(session, as: requester) } catch { throw .store(error) }
    }

    /// Takes a step's lease and runs the action that the script returns.
    ///
    /// - Returns: Whether the lease was taken. Returns at once, or when the step has ended.
    private func seize(_ takeOver: TakeOver, as requester: Requester, returnsAtEnd: Bool) async throws(TurnError) -> Bool {
        try await inTask(endsStep: takeOver.reason == .cancel) { result in
            do throws(StoreError) {
                guard case .taken(let taken) = try await self.store.takeOver(takeOver, as: requester) else {
                    return .end(result.decided(.success(false)))
                }
                self.logger.notice(
                    "a step was taken over",
                    metadata: [
                        "session": "\(takeOver.session)", "step": "\(taken.started.lease.step)", "replaces": "\(taken.replaces)",
                        "from": "\(taken.previousOwner)", "to": "\(taken.action)",
                    ])
                guard returnsAtEnd else {
                    result.succeed(true)
                    return await StepRunner(service: self, taken: taken, end: nil).run()
                }
                return await StepRunner(service: self, taken: taken, end: result).run()
            } catch {
                return .end(result.decided(.failure(.store(error))))
            }
        }
    }
}
