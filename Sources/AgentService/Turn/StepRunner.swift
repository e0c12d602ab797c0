import Logging
import NIOCore
import SessionStore
import Synchronization

/// The effects of one step, from the moment its lease is held: generation, log, commit, and what the client is told.
///
/// No task runs while the model writes: a token is shown and logged by whoever reads the model's socket. What comes before and after that are jobs of
/// their own.
final class StepRunner: Sendable {
    let runner: TurnRunner
    let started: StartedStep
    let origin: Origin
    let stream: ClientStream
    let traceparent: String?
    let control = StepControl()
    let log: StepLog
    let encoder: EventEncoder
    let begun = ContinuousClock.now
    private let onGenerating: @Sendable () -> Void
    private let onEnd: @Sendable () -> Void
    let generating: Mutex<Generating>

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
    convenience init(runner: TurnRunner, taken: TakenStep, onEnd: @escaping @Sendable () -> Void) {
        let nobody = ClientStream()
        nobody.close()
        self.init(
            runner: runner, started: taken.started, origin: .takenOver(taken.action, replaces: taken.replaces),
            replaced: taken.replaced, stream: nobody, traceparent: nil, onGenerating: {}, onEnd: onEnd)
    }

    /// A step that was begun here.
    ///
    /// - Parameter onGenerating: Called once, when the step is about to ask the model; what it resumes has its turn once the model is asked, where the
    ///   history was read ahead.
    convenience init(
        runner: TurnRunner, started: StartedStep, stream: ClientStream, traceparent: String?, onGenerating: @escaping @Sendable () -> Void
    ) {
        self.init(
            runner: runner, started: started, origin: .begun, replaced: [], stream: stream, traceparent: traceparent,
            onGenerating: onGenerating,
            onEnd: {})
    }

    private init(
        runner: TurnRunner, started: StartedStep, origin: Origin, replaced: [EventID], stream: ClientStream, traceparent: String?,
        onGenerating: @escaping @Sendable () -> Void, onEnd: @escaping @Sendable () -> Void
    ) {
        self.runner = runner
        self.started = started
        self.origin = origin
        self.replaced = replaced
        self.stream = stream
        self.traceparent = traceparent
        self.onGenerating = onGenerating
        self.onEnd = onEnd
        encoder = EventEncoder(step: started.lease.step, nonce: started.lease.token.nonce)
        log = StepLog(
            store: runner.store,
            lease: started.lease,
            interval: runner.configuration.logInterval,
            batchLimit: runner.configuration.logBatch,
            onLost: { [control] step, intent in control.stop(.lost(step: step, intent: intent)) }
        )
        generating = Mutex(
            Generating(
                machine: TurnMachine(
                    maximumBytes: runner.configuration.maximumAnswerBytes, maximumCalls: runner.configuration.maximumCalls)))
    }

    var lease: StepLease { started.lease }

    /// Begins the step. At the end of what follows, the client's stream has had its last event.
    func run() async -> StepSupervisor.Sequel {
        runner.supervisor.register(control)
        runner.logWriter.add(log)
        switch origin {
        case .begun:
            if started.settings.onDisconnect == .cancel { stream.whenClosed { [control] in control.stop(.clientLeft) } }
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

    private func ended() -> StepSupervisor.Sequel {
        runner.logWriter.remove(log)
        runner.supervisor.unregister(control)
        stream.finish()
        return .end(onEnd)
    }

    /// What the model has said so far.
    var machine: TurnMachine { generating.withLock { $0.machine } }

    /// Asks the model, once the history is there.
    private func generate() async -> StepSupervisor.Sequel {
        onGenerating()
        do throws(StoreError) {
            // Under the lease, which the log renews meanwhile: a long history takes its time.
            let request = LLMRequest(
                model: started.settings.model ?? runner.configuration.model,
                messages: try await runner.store.history(of: started),
                tools: offeredTools,
                traceparent: traceparent
            )
            if !started.hasHistory { await runner.store.noteAsking(lease) }
            return .wait { proceed in
                self.ask(request) { generated in
                    proceed(
                        .job {
                            await self.conclude(generated)
                            return self.ended()
                        })
                }
            }
        } catch {
            await conclude(.failure(error))
            return ended()
        }
    }

    /// An empty array of the client's means no tools; upstreams refuse an empty array.
    private var offeredTools: ByteBuffer? {
        guard let tools = started.settings.tools else { return runner.configuration.tools.json }
        return tools.readableBytes > 2 ? tools : nil
    }

    /// Does what the end of a generation leads to.
    private func conclude(_ generated: Result<TurnMachine.Ending, any Error>) async {
        switch (control.reason, generated) {
        case (.lost(let step, let intent), _):
            _ = await log.close()
            await tellLoss(step: step, intent: intent)
        case (_, .success(let ending)):
            await end(with: ending)
        case (.draining, .failure):
            await handOver()
        case (.clientLeft, .failure):
            await end(with: TurnMachine.cancelled(text: machine.text))
        case (nil, .failure(let error as LLMError)):
            await end(with: machine.failed(error))
        case (nil, .failure(let error)):
            runner.logger.warning("a history could not be read", metadata: ["session": "\(lease.session)", "error": "\(error)"])
            await leave()
        }
    }

    /// Lets the lease run out: the step has not begun, so it has not failed either. The replica that takes it over runs it, at
    /// most as often as any other.
    private func leave() async {
        _ = await log.close()
        stream.giveUp()
    }

    /// Finishes a cancel: what the log holds is the answer.
    private func endWithLoggedText(of step: Int) async {
        do throws(StoreError) {
            let text = try await runner.store.loggedText(lease.session, step: step)
            await end(with: TurnMachine.cancelled(text: text))
        } catch {
            // The lease runs out, and whoever takes it then finishes the cancel.
            runner.logger.warning("a log could not be read", metadata: ["session": "\(lease.session)", "error": "\(error)"])
        }
    }

    /// Lets another replica have the step, which runs it again; the client finds it there.
    private func handOver() async {
        // What is left would go into a log whose step begins anew.
        _ = await log.close()
        do throws(StoreError) {
            _ = try await runner.store.release(lease)
        } catch {
            // The lease runs out by itself.
            runner.logger.warning("a step could not be released", metadata: ["session": "\(lease.session)", "error": "\(error)"])
        }
        stream.handOver()
    }
}
