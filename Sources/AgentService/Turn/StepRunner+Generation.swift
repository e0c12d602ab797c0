import LanguageModels
import Locks
import Logging
import NIOCore
import SessionStore

/// The time in which the model writes.
extension StepRunner: LLMReceiver {
    struct Generating: ~Copyable, Sendable {
        var machine: StepStateMachine
        /// What is kept of the history.
        var usedCalls = UsedCallIDs()
        /// The step's slot while the model writes.
        var suspension: StepScheduler.Suspension?

        init(machine: StepStateMachine) {
            self.machine = machine
        }
    }

    /// Asks the model. A stop signal ends that, which closes the upstream's connection.
    ///
    /// Nothing here keeps the request: the model's provider does, until the model answers.
    func ask(_ request: LLMRequest, suspension: consuming StepScheduler.Suspension) {
        var suspension = Optional(suspension)
        generating.withLock { $0.suspension = suspension.take() }
        guard stopSignal.reason == nil else { return end(.failure(CancellationError())) }
        let generation = model.server.generate(request, receiver: self)
        stopSignal.whenStopped { generation.cancel() }
    }

    func receive(_ batch: [LLMEvent]) throws {
        try generating.withLock { generating in
            for event in batch { try generating.machine.receive(event) }
        }
        show(batch)
    }

    /// Sends a batch's text to the client at once, and to the log.
    private func show(_ batch: [LLMEvent]) {
        var sequence = log.append { pending in
            for event in batch {
                switch event {
                case .textDelta(let text): pending.append(token: text)
                case .reasoningDelta(let text): pending.append(reasoning: text)
                case .toolCall, .usage, .reasoning, .finish: break
                }
            }
        }
        stream.write { buffer in
            for event in batch {
                switch event {
                case .textDelta(let text): encoder.write(token: text, sequence: sequence, into: &buffer)
                case .reasoningDelta(let text): encoder.write(reasoning: text, sequence: sequence, into: &buffer)
                case .toolCall, .usage, .reasoning, .finish: continue
                }
                sequence += 1
            }
        }
    }

    func end(_ result: Result<Void, any Error>) {
        switch result {
        case .success:
            tell(.success(conclude()))
        case .failure(let error as LLMError):
            tell(.failure(error))
        case .failure(is CancellationError):
            // The reason is the control's.
            tell(.failure(LLMError(.unavailable, "the generation was stopped")))
        case .failure(let error):
            logger.error("a generation failed", metadata: ["error": "\(error)", "code": "llm_unavailable"])
            tell(.failure(LLMError(.unavailable, "the model could not be asked")))
        }
    }

    private func conclude() -> StepStateMachine.Conclusion {
        generating.withLock { generating in
            let calls = generating.usedCalls
            let conclusion = generating.machine.conclude(isUsed: calls.contains, makeID: { CallIDGenerator.make() })
            if case .repair(let said) = conclusion { generating.usedCalls.add(said.messages) }
            return conclusion
        }
    }

    private func tell(_ generated: Result<StepStateMachine.Conclusion, any Error>) {
        guard let suspension = generating.withLock({ $0.suspension.take() }) else { return }
        suspension.resume(with: .job { await self.conclude(generated) })
    }
}
