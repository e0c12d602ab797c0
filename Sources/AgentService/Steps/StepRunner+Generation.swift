import LanguageModels
import Locks
import Logging
import NIOCore
import SessionStore

/// The generation: the model's provider calls this while the model writes.
extension StepRunner: LLMReceiver {
    struct Generating: ~Copyable, Sendable {
        var machine: StepStateMachine
        /// The part of the history that is kept meanwhile.
        var usedCalls = UsedCallIDs()
        /// The step's slot while the model writes.
        var suspension: StepScheduler.Suspension?

        init(machine: StepStateMachine) {
            self.machine = machine
        }
    }

    /// Asks the model. A stop signal ends the generation, which closes the connection to the
    /// model's server.
    ///
    /// The runner does not keep the request; the provider does, until the model's server responds.
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

    /// Emits the deltas of a batch to the client at once, and logs them.
    private func show(_ batch: [LLMEvent]) {
        let first = log.append { pending in
            for event in batch {
                if let event = TurnEvent(event) { LogCodec.append(event, to: &pending) }
            }
        }
        stream.write { output in
            var id = id(first)
            for event in batch {
                guard let event = TurnEvent(event) else { continue }
                output.emit(event, id: id)
                id.sequence += 1
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
            // The stop signal has the reason.
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
        suspension.resume(with: .job { await self.perform(self.machine.generated(generated, stopped: self.stopSignal.reason)) })
    }
}

extension TurnEvent {
    /// Makes the event of a delta; nil for an event of the model that clients get at the end, or
    /// never.
    fileprivate init?(_ event: LLMEvent) {
        switch event {
        case .textDelta(let text): self = .textDelta(text)
        case .reasoningDelta(let text): self = .reasoningDelta(text)
        case .toolCall, .usage, .reasoning, .finish: return nil
        }
    }
}
