import Logging
import NIOCore
import SessionStore
import Synchronization

/// The effects of one step, from the moment its lease is held: generation, log, commit, and what the client is told.
///
/// No task runs while the model writes: a token is shown and logged by whoever reads the model's socket. What comes before and after that are jobs of
/// their own.
final class StepRunner: Sendable {
    let service: TurnService
    let started: StartedStep
    let origin: Origin
    let stream: ClientStream
    let traceparent: String?
    /// Of the request that began it; nil where it was taken over.
    let requestID: String?
    let stopSignal = StopSignal()
    let log: EventLogWriter
    let begun = ContinuousClock.now
    private let onGenerating: @Sendable () -> Void
    private let onEnd: @Sendable () -> Void
    let generating: Mutex<Generating>
    /// Nil once the model was asked.
    let opening: Mutex<Opening?>
    /// Whether the client brought tools of its own.
    let hasOwnTools: Bool

    /// How the step came to this replica.
    enum Origin {
        case begun
        case takenOver(TakenStep.Action, replaces: Int)
    }

    /// The steps whose place this one took.
    let replaced: [EventID]

    /// A step that was taken over. Nobody listens to it but the log.
    ///
    /// - Parameter onEnd: Called when it has ended and its place is free.
    convenience init(service: TurnService, taken: TakenStep, onEnd: @escaping @Sendable () -> Void) {
        self.init(
            service: service, started: taken.started, share: nil, origin: .takenOver(taken.action, replaces: taken.replaces),
            replaced: taken.replaced, stream: .closed(), traceparent: nil, requestID: nil, onGenerating: {}, onEnd: onEnd)
    }

    /// A step that was begun here.
    ///
    /// - Parameters:
    ///   - share: Room for the history, where it was waited for.
    ///   - onGenerating: Called once, when the step is about to ask the model; what it resumes has its turn once the model is asked, where the
    ///     history came with the lease.
    convenience init(
        service: TurnService, started: StartedStep, share: ByteShare?, stream: ClientStream, traceparent: String?, requestID: String?,
        onGenerating: @escaping @Sendable () -> Void
    ) {
        self.init(
            service: service, started: started, share: share, origin: .begun, replaced: [], stream: stream, traceparent: traceparent,
            requestID: requestID, onGenerating: onGenerating, onEnd: {})
    }

    private init(
        service: TurnService, started: StartedStep, share: ByteShare?, origin: Origin, replaced: [EventID], stream: ClientStream,
        traceparent: String?, requestID: String?,
        onGenerating: @escaping @Sendable () -> Void, onEnd: @escaping @Sendable () -> Void
    ) {
        self.service = service
        self.started = started.withoutRequest
        opening = Mutex(
            Opening(history: started.history, reasoning: started.reasoning, tools: started.settings.tools, share: share))
        hasOwnTools = started.settings.tools != nil
        self.origin = origin
        self.replaced = replaced
        self.stream = stream
        self.traceparent = traceparent
        self.requestID = requestID
        self.onGenerating = onGenerating
        self.onEnd = onEnd
        log = EventLogWriter(
            store: service.store,
            lease: started.lease,
            interval: service.configuration.logInterval,
            batchLimit: service.configuration.logBatch,
            onLost: { [stopSignal] step, intent in stopSignal.stop(.lost(step: step, intent: intent)) }
        )
        generating = Mutex(
            Generating(
                machine: StepStateMachine(
                    maximumBytes: service.configuration.maximumAnswerBytes, maximumCalls: service.configuration.maximumCalls)))
    }

    var lease: StepLease { started.lease }

    /// Returns the id of an event of this step.
    func id(_ sequence: Int) -> EventID { EventID(step: lease.step, sequence: sequence, nonce: lease.token.nonce) }

    /// For the lines of this step. Made when one is written: most steps write none.
    var logger: Logger {
        var logger = service.logger
        logger[metadataKey: "session"] = "\(lease.session)"
        logger[metadataKey: "step"] = "\(lease.step)"
        if let requestID { logger[metadataKey: "request"] = "\(requestID)" }
        return logger
    }

    /// Begins the step. At the end of what follows, the client's stream has had its last event.
    func run() async -> StepScheduler.NextAction {
        service.scheduler.register(stopSignal)
        service.flushTimer.add(log)
        switch origin {
        case .begun:
            if started.settings.onDisconnect == .cancel { stream.whenClosed { [stopSignal] in stopSignal.stop(.clientLeft) } }
            onGenerating()
            return await generate()
        case .takenOver(.run, _):
            return await generate()
        case .takenOver(.cancel, let replaces):
            await endWithLoggedText(of: replaces)
        case .takenOver(.fail, _):
            let message = "every replica that ran this step was lost; send the request again"
            await end(with: machine.failure(message, code: "takeover_exhausted", retryable: true))
        }
        return ended()
    }

    private func ended() -> StepScheduler.NextAction {
        service.flushTimer.remove(log)
        service.scheduler.unregister(stopSignal)
        stream.finish()
        return .end(onEnd)
    }

    /// What the model has said so far.
    var machine: StepStateMachine { generating.withLock { $0.machine } }

    /// Asks the model, once the history is there.
    ///
    /// - Parameter repair: What follows the history, where the model is asked for the second time.
    private func generate(adding repair: StepStateMachine.Said = StepStateMachine.Said()) async -> StepScheduler.NextAction {
        do throws(Unasked) {
            let request = try await request(adding: repair)
            return .wait { proceed in
                self.ask(request) { generated in proceed(.job { await self.conclude(generated) }) }
            }
        } catch {
            return await conclude(.failure(error))
        }
    }

    /// Does what the end of a generation leads to.
    private func conclude(_ generated: Result<StepStateMachine.Conclusion, any Error>) async -> StepScheduler.NextAction {
        switch (stopSignal.reason, generated) {
        case (.lost(let step, let intent), _):
            _ = await log.close()
            await tellLoss(step: step, intent: intent)
        case (_, .success(.commit(let ending))):
            await end(with: ending)
        case (nil, .success(.repair(let said))):
            return await generate(adding: said)
        case (.draining, _):
            await handOver()
            stream.emit(.resumeElsewhere)
        case (nil, .failure(Unasked.crowded)):
            logger.warning(
                "there was no room for a history in time", metadata: ["bytes": "\(started.historyBytes)", "code": "overloaded"])
            await handOver()
            stream.emit(.resumeLater)
        case (.clientLeft, _):
            await end(with: StepStateMachine.cancelled(text: machine.text))
        case (nil, .failure(let error as LLMError)):
            await end(with: machine.failed(error), cause: error.logText)
        case (nil, .failure(let error)):
            logger.warning("a history could not be read", metadata: ["error": "\(error)", "code": "store_unavailable"])
            await leave()
        }
        return ended()
    }

    /// Lets the lease run out: the step has not begun, so it has not failed either. The replica that takes it over runs it, at
    /// most as often as any other.
    private func leave() async {
        _ = await log.close()
        stream.emit(.resumeLater)
    }

    /// Finishes a cancel: what the log holds is the answer.
    private func endWithLoggedText(of step: Int) async {
        do throws(StoreError) {
            let text = try await service.store.loggedText(lease.session, step: step)
            await end(with: StepStateMachine.cancelled(text: text))
        } catch {
            // The lease runs out, and whoever takes it then finishes the cancel.
            logger.warning("a log could not be read", metadata: ["error": "\(error)", "code": "store_unavailable"])
        }
    }

    /// Lets another replica have the step, which runs it again; the client finds it there.
    private func handOver() async {
        // What is left would go into a log whose step begins anew.
        _ = await log.close()
        do throws(StoreError) {
            _ = try await service.store.release(lease)
        } catch {
            // The lease runs out by itself.
            logger.warning("a step could not be released", metadata: ["error": "\(error)", "code": "store_unavailable"])
        }
    }
}
