import Logging
import NIOCore
import SessionStore

/// The effects of one step, from the moment its lease is held: generation, log, commit, and what the client is told.
///
/// A class, and its rarer calls are not inlined: what an asynchronous function holds across an `await` is memory of each open stream.
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

    /// How the step came to this replica.
    enum Origin {
        case begun
        case takenOver(TakenStep.Action, replaces: Int)
    }

    /// A step that was taken over. Nobody listens to it but the log.
    convenience init(runner: TurnRunner, taken: TakenStep) {
        let nobody = ClientStream()
        nobody.close()
        self.init(
            runner: runner, started: taken.started, origin: .takenOver(taken.action, replaces: taken.replaces), stream: nobody,
            traceparent: nil, onGenerating: {})
    }

    /// A step that was begun here.
    ///
    /// - Parameter onGenerating: Called once, when the step is about to ask the model; what it resumes has its turn once the model is asked.
    convenience init(
        runner: TurnRunner, started: StartedStep, stream: ClientStream, traceparent: String?, onGenerating: @escaping @Sendable () -> Void
    ) {
        self.init(
            runner: runner, started: started, origin: .begun, stream: stream, traceparent: traceparent, onGenerating: onGenerating)
    }

    private init(
        runner: TurnRunner, started: StartedStep, origin: Origin, stream: ClientStream, traceparent: String?,
        onGenerating: @escaping @Sendable () -> Void
    ) {
        self.runner = runner
        self.started = started
        self.origin = origin
        self.stream = stream
        self.traceparent = traceparent
        self.onGenerating = onGenerating
        encoder = EventEncoder(step: started.lease.step, nonce: started.lease.token.nonce)
        log = StepLog(
            store: runner.store,
            lease: started.lease,
            interval: runner.configuration.logInterval,
            batchLimit: runner.configuration.logBatch,
            onLost: { [control] step, intent in control.stop(.lost(step: step, intent: intent)) }
        )
    }

    var lease: StepLease { started.lease }

    /// Runs the step to its end. Afterwards the client's stream has had its last event.
    func run() async {
        runner.supervisor.register(control)
        runner.logWriter.add(log)
        defer {
            runner.logWriter.remove(log)
            runner.supervisor.unregister(control)
        }
        switch origin {
        case .begun:
            if started.settings.onDisconnect == .cancel { stream.whenClosed { [control] in control.stop(.clientLeft) } }
            await generateToTheEnd()
        case .takenOver(.run, _):
            await generateToTheEnd()
        case .takenOver(.cancel, let replaces):
            await endWithLoggedText(of: replaces)
        case .takenOver(.fail, _):
            let machine = newMachine()
            let message = "every replica that ran this step was lost; send the request again"
            await end(machine, with: machine.failure(message, code: "takeover_exhausted", retryable: true))
        }
    }

    private func generateToTheEnd() async {
        await conclude(await generateUntilStopped())
    }

    /// Does what the end of a generation leads to.
    @inline(never) private func conclude(_ generated: Generated) async {
        let machine = generated.machine
        switch (control.reason, generated.result) {
        case (.lost(let step, _), _):
            _ = await log.close()
            await tellLoss(step: step)
        case (_, .success(let ending)):
            await end(machine, with: ending)
        case (.draining, .failure):
            await handOver()
        case (.clientLeft, .failure):
            await end(machine, with: TurnMachine.cancelled(text: machine.text))
        case (nil, .failure(.model(let error))):
            await end(machine, with: machine.failed(error))
        case (nil, .failure(.store(let error))):
            runner.logger.warning("a history could not be read", metadata: ["session": "\(lease.session)", "error": "\(error)"])
            await end(machine, with: machine.failure("the session's history could not be read", code: "store_unavailable", retryable: true))
        }
    }

    /// Finishes a cancel: what the log holds is the answer.
    @inline(never) private func endWithLoggedText(of step: Int) async {
        do throws(StoreError) {
            let text = try await runner.store.loggedText(lease.session, step: step)
            await end(newMachine(), with: TurnMachine.cancelled(text: text))
        } catch {
            // The lease runs out, and whoever takes it then finishes the cancel.
            runner.logger.warning("a log could not be read", metadata: ["session": "\(lease.session)", "error": "\(error)"])
        }
    }

    /// Lets another replica have the step, which runs it again; the client finds it there.
    @inline(never) private func handOver() async {
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

    // MARK: Generation

    /// Why there is no answer.
    private enum Failure: Error {
        case model(LLMError)
        /// The history could not be read.
        case store(StoreError)
    }

    /// What came of a generation.
    private final class Generated: Sendable {
        let machine: TurnMachine
        let result: Result<TurnMachine.Ending, Failure>

        init(_ machine: TurnMachine, _ result: Result<TurnMachine.Ending, Failure>) {
            (self.machine, self.result) = (machine, result)
        }
    }

    /// Runs the generation; a stop signal cancels it, which closes the upstream's connection.
    private func generateUntilStopped() async -> Generated {
        let generation = Task(executorPreference: runner.supervisor.currentExecutor) { await self.generate() }
        control.whenStopped { generation.cancel() }
        return await withTaskCancellationHandler {
            await generation.value
        } onCancel: {
            generation.cancel()
        }
    }

    private func newMachine() -> TurnMachine {
        TurnMachine(maximumBytes: runner.configuration.maximumAnswerBytes, maximumCalls: runner.configuration.maximumCalls)
    }

    private func generate() async -> Generated {
        onGenerating()
        var machine = newMachine()
        do {
            // Under the lease, which the log renews meanwhile: a long history takes its time.
            var request = LLMRequest(
                model: started.settings.model ?? runner.configuration.model,
                messages: try await runner.store.history(of: started),
                tools: offeredTools,
                traceparent: traceparent
            )
            while true {
                try await runner.provider.generate(request) { batch in
                    for event in batch { try machine.receive(event) }
                    show(batch)
                }
                let conclusion = machine.conclude(
                    isUsed: { CallIDs.isUsed($0, in: request.messages) }, makeID: { CallIDs.make() })
                switch conclusion {
                case .commit(let ending): return Generated(machine, .success(ending))
                case .repair(let messages): request.messages += messages
                }
            }
        } catch let error as LLMError {
            return Generated(machine, .failure(.model(error)))
        } catch let error as StoreError where error.code != .cancelled {
            return Generated(machine, .failure(.store(error)))
        } catch {
            // Cancellation: the reason is the control's.
            return Generated(machine, .failure(.model(LLMError(.unavailable, "the generation was stopped"))))
        }
    }

    /// An empty array of the client's means no tools; upstreams refuse an empty array.
    private var offeredTools: ByteBuffer? {
        guard let tools = started.settings.tools else { return runner.configuration.tools.json }
        return tools.readableBytes > 2 ? tools : nil
    }

    /// Sends a batch's tokens to the client at once, and to the log.
    private func show(_ batch: [LLMEvent]) {
        var sequence = log.append { pending in
            for case .token(let token) in batch { pending.append(token: token) }
        }
        stream.write { buffer in
            for case .token(let token) in batch {
                encoder.write(token: token, sequence: sequence, into: &buffer)
                sequence += 1
            }
        }
    }
}
