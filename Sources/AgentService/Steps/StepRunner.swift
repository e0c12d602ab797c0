import Locks
import Logging
import NIOCore
import SessionStore

/// Performs the actions of one step from the moment that this replica holds its lease: generation,
/// log, commit, events.
///
/// No task runs while the model writes: the event loop that reads the model's socket emits each
/// delta and logs it. The work before and after the generation runs in jobs of its own.
final class StepRunner: Sendable {
    let service: TurnService
    let started: StartedStep
    let origin: StepOrigin
    let stream: ClientStream
    let traceparent: String?
    /// The id of the request that began the step; nil where this replica took the step over.
    let requestID: String?
    let stopSignal = StopSignal()
    let log: EventLogWriter
    let begun = ContinuousClock.now
    /// The caller that waits for the step's end; nil if none does.
    private let waitingCaller: Guarded<PendingResult<Bool>?>
    let generating: Guarded<Generating>
    /// Nil when the model was asked.
    let opening: Guarded<Opening?>
    /// Whether the client sent tools of its own.
    let hasOwnTools: Bool

    /// The steps that this one replaces.
    let replaced: [EventID]

    /// Makes the runner of a step that was taken over. Only the log gets its events.
    ///
    /// - Parameter end: Succeeds with true when the step has ended and its slot is free.
    convenience init(service: TurnService, taken: TakenStep, end: consuming PendingResult<Bool>?) {
        self.init(
            service: service, started: taken.started, share: nil, origin: .takenOver(taken.action, replaces: taken.replaces),
            replaced: taken.replaced, stream: .closed(), traceparent: nil, requestID: nil, end: end)
    }

    /// Makes the runner of a step that was begun here.
    ///
    /// - Parameter share: Room for the history, if the message waited for it.
    convenience init(
        service: TurnService, started: StartedStep, share: ByteShare?, stream: ClientStream, traceparent: String?, requestID: String?
    ) {
        self.init(
            service: service, started: started, share: share, origin: .begun, replaced: [], stream: stream, traceparent: traceparent,
            requestID: requestID, end: nil)
    }

    private init(
        service: TurnService, started: StartedStep, share: ByteShare?, origin: StepOrigin, replaced: [EventID], stream: ClientStream,
        traceparent: String?, requestID: String?, end: consuming PendingResult<Bool>?
    ) {
        self.service = service
        self.started = started.withoutRequest
        opening = Guarded(
            Opening(history: started.history, reasoning: started.reasoning, tools: started.settings.tools, share: share))
        hasOwnTools = started.settings.tools != nil
        self.origin = origin
        self.replaced = replaced
        self.stream = stream
        self.traceparent = traceparent
        self.requestID = requestID
        waitingCaller = Guarded(end)
        log = EventLogWriter(
            store: service.store,
            lease: started.lease,
            interval: service.configuration.logInterval,
            batchLimit: service.configuration.logBatch,
            onLost: { [stopSignal] step, intent in stopSignal.stop(.lost(step: step, intent: intent)) }
        )
        generating = Guarded(
            Generating(
                machine: StepStateMachine(
                    maximumBytes: service.configuration.maximumAnswerBytes, maximumCalls: service.configuration.maximumCalls)))
    }

    var lease: StepLease { started.lease }

    /// Returns the id of an event of this step.
    func id(_ sequence: Int) -> EventID { EventID(step: lease.step, sequence: sequence, nonce: lease.token.nonce) }

    /// The logger of this step's lines. Made for each line, since most steps write none.
    var logger: Logger {
        var logger = service.logger
        logger[metadataKey: "session"] = "\(lease.session)"
        logger[metadataKey: "step"] = "\(lease.step)"
        if let requestID { logger[metadataKey: "request"] = "\(requestID)" }
        return logger
    }

    /// What the model has said so far.
    var machine: StepStateMachine { generating.withLock { $0.machine } }

    /// Runs a step that was begun here. When its last action is performed, the client's stream has
    /// its last event.
    ///
    /// - Parameter accepted: Succeeds when the step is about to ask the model. If the history came
    ///   with the lease, the caller runs after the model was asked.
    func run(accepting accepted: consuming PendingResult<TurnService.Conflict?>) async -> StepScheduler.NextAction {
        register()
        if started.settings.onDisconnect == .cancel { stream.whenClosed { [stopSignal] in stopSignal.stop(.clientLeft) } }
        accepted.succeed(nil)
        return await perform(machine.opened(as: origin))
    }

    /// Runs a step that was taken over.
    func run() async -> StepScheduler.NextAction {
        register()
        return await perform(machine.opened(as: origin))
    }

    private func register() {
        service.scheduler.register(stopSignal)
        service.flushTimer.add(log)
    }

    /// Performs an action and those that follow from its result, up to the next wait.
    func perform(_ first: StepStateMachine.Action) async -> StepScheduler.NextAction {
        var action = first
        while true {
            switch action {
            case .ask(let said):
                do throws(StepStateMachine.Unasked) {
                    let request = try await request(adding: said)
                    return .suspend { self.ask(request, suspension: $0) }
                } catch {
                    action = notAsked(error)
                }
            case .readLog(let step):
                action = machine.loggedText(await loggedText(of: step))
            case .commit(let ending, let cause):
                action = machine.committed(await commit(ending, cause: cause))
            case .follow(let step, let intent):
                action = await follow(step: step, intent: intent)
            case .release(let signal):
                await release()
                stream.emit(signal)
                action = .finish
            case .abandon(let signal):
                _ = await log.close()
                if let signal { stream.emit(signal) }
                action = .finish
            case .fail(let failure):
                fail(failure)
                action = .finish
            case .finish:
                service.flushTimer.remove(log)
                service.scheduler.unregister(stopSignal)
                stream.finish()
                guard let caller = waitingCaller.withLock({ $0.take() }) else { return .end() }
                return .end(caller.decided(.success(true)))
            }
        }
    }

    private func notAsked(_ error: StepStateMachine.Unasked) -> StepStateMachine.Action {
        let reason = stopSignal.reason
        switch (reason, error) {
        case (nil, .crowded):
            logger.warning(
                "there was no room for a history in time", metadata: ["bytes": "\(started.historyBytes)", "code": "overloaded"])
        case (nil, .store):
            logger.warning("a history could not be read", metadata: ["error": "\(error)", "code": "store_unavailable"])
        default: break
        }
        return machine.generated(.failure(error), stopped: reason)
    }

    /// Returns the text that a step has in the log; nil where it cannot be read.
    private func loggedText(of step: Int) async -> ByteBuffer? {
        do throws(StoreError) {
            return try await service.store.loggedText(of: lease, step: step)
        } catch {
            logger.warning("a log could not be read", metadata: ["error": "\(error)", "code": "store_unavailable"])
            return nil
        }
    }

    /// Releases the lease, so that another replica runs the step again.
    private func release() async {
        // The events that are left would enter a log whose step begins again.
        _ = await log.close()
        do throws(StoreError) {
            _ = try await service.store.release(lease)
        } catch {
            // The lease runs out on its own.
            logger.warning("a step could not be released", metadata: ["error": "\(error)", "code": "store_unavailable"])
        }
    }
}
