import Logging
import NIOCore
import SessionStore
import Synchronization

/// The time in which the model writes.
extension StepRunner: LLMReceiver {
    struct Generating: Sendable {
        var machine: TurnMachine
        /// What the model was asked; nil before and after.
        var request: LLMRequest?
        /// Told what came of it, once.
        var onConclusion: (@Sendable (Result<TurnMachine.Ending, any Error>) -> Void)?
    }

    /// Asks the model. A stop signal ends that, which closes the upstream's connection.
    func ask(_ request: LLMRequest, onConclusion: @escaping @Sendable (Result<TurnMachine.Ending, any Error>) -> Void) {
        generating.withLock { $0.onConclusion = onConclusion }
        ask(request)
    }

    private func ask(_ request: LLMRequest) {
        guard control.reason == nil else { return end(.failure(CancellationError())) }
        generating.withLock { $0.request = request }
        let generation = runner.provider.generate(request, receiver: self)
        control.whenStopped { generation.cancel() }
    }

    func receive(_ batch: [LLMEvent]) throws {
        try generating.withLock { generating in
            for event in batch { try generating.machine.receive(event) }
        }
        show(batch)
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

    func end(_ result: Result<Void, any Error>) {
        switch result.flatMap(conclude) {
        case .success(.repair(let messages)):
            guard var request = generating.withLock({ $0.request }) else {
                return tell(.failure(LLMError(.unavailable, "the generation ended before it began")))
            }
            request.messages += messages
            ask(request)
        case .success(.commit(let ending)):
            tell(.success(ending))
        case .failure(let error as LLMError):
            tell(.failure(error))
        case .failure(is CancellationError):
            // The reason is the control's.
            tell(.failure(LLMError(.unavailable, "the generation was stopped")))
        case .failure(let error):
            runner.logger.error("a generation failed", metadata: ["session": "\(lease.session)", "error": "\(error)"])
            tell(.failure(LLMError(.unavailable, "the model could not be asked")))
        }
    }

    private func conclude() -> Result<TurnMachine.Conclusion, any Error> {
        generating.withLock { generating in
            let messages = generating.request?.messages ?? []
            return .success(
                generating.machine.conclude(isUsed: { CallIDs.isUsed($0, in: messages) }, makeID: { CallIDs.make() }))
        }
    }

    private func tell(_ generated: Result<TurnMachine.Ending, any Error>) {
        let onConclusion = generating.withLock { generating in
            generating.request = nil
            return generating.onConclusion.take()
        }
        onConclusion?(generated)
    }
}
