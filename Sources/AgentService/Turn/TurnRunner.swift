public import Logging
import NIOCore
public import SessionStore

/// Runs turns: accepts a message, has a step run for it, and tells the client.
public final class TurnRunner: Sendable {
    public let configuration: TurnConfiguration
    let store: RedisSessionStore
    let provider: any LLMProvider
    let supervisor: StepSupervisor
    let logWriter: EventLogWriter
    let keepAlive: KeepAlive
    let logger: Logger
    private let systemPrompt: ByteBuffer?

    public init(
        store: RedisSessionStore,
        provider: any LLMProvider,
        supervisor: StepSupervisor,
        logWriter: EventLogWriter,
        keepAlive: KeepAlive,
        configuration: TurnConfiguration,
        logger: Logger
    ) {
        self.store = store
        self.provider = provider
        self.supervisor = supervisor
        self.logWriter = logWriter
        self.keepAlive = keepAlive
        self.configuration = configuration
        self.logger = logger
        systemPrompt = configuration.systemPrompt.map(ChatMessage.system)
    }

    /// Accepts a message. When this returns, it is stored, and the stream will end with `done` whatever happens.
    ///
    /// - Parameter stream: Where the client is told; it may be closed at any time.
    /// - Throws: ``TurnError``; nothing was written then, unless it says `outcomeUnknown`.
    public func start(_ request: TurnRequest, stream: ClientStream) async throws(TurnError) {
        let begin = BeginStep(
            session: request.session,
            input: request.input,
            systemPrompt: systemPrompt,
            settings: request.settings,
            idempotency: request.idempotency,
            expectedLength: request.expectedLength
        )
        // The message is sent to Redis from the step's own task: were it the handler's, a client that leaves at the wrong
        // moment would cancel it, and leave a lease behind that nobody holds.
        let answer = await withCheckedContinuation { (continuation: CheckedContinuation<Result<Void, TurnError>, Never>) in
            do throws(StepSupervisor.Refusal) {
                try supervisor.start { await self.run(begin, request: request, stream: stream, accepted: continuation) }
            } catch {
                continuation.resume(returning: .failure(error == .draining ? .draining : .overloaded))
            }
        }
        try answer.get()
        keepAlive.add(stream)
    }

    private func run(
        _ begin: BeginStep,
        request: TurnRequest,
        stream: ClientStream,
        accepted: CheckedContinuation<Result<Void, TurnError>, Never>
    ) async {
        defer { stream.finish() }
        let outcome: BeginOutcome
        do throws(StoreError) {
            outcome = try await store.begin(begin)
        } catch {
            accepted.resume(returning: .failure(.store(error)))
            return
        }
        switch outcome {
        case .started(let started):
            accepted.resume(returning: .success(()))
            if let id = request.lastEventID {
                // Sent again, but not remembered: what the client has is another answer's.
                let json = StreamChunk.restart(step: started.lease.step, replaces: id.step, reason: "unknown_event_id")
                stream.write { EventEncoder.write(unlogged: .restart, json: json, into: &$0) }
            }
            await StepRunner(runner: self, started: started, stream: stream, traceparent: request.traceparent).run()
        case .waiting(let step, let length, let open):
            accepted.resume(returning: .success(()))
            let done = DoneEvent(
                status: .waiting, session: begin.session, step: step, historyLength: length, pendingCalls: open,
                metadata: request.settings.metadata)
            stream.write { EventEncoder.write(unlogged: .done, json: done.json, into: &$0) }
        case .replay(let step):
            accepted.resume(returning: .success(()))
            await replay(begin.session, step: step, after: request.lastEventID, to: stream)
        case .busy(let step, let leaseLeft):
            accepted.resume(returning: .failure(.busy(step: step, retryAfter: leaseLeft)))
        case .orphaned(let step):
            accepted.resume(returning: .failure(.busy(step: step, retryAfter: store.configuration.lease)))
        case .refused(let refusal):
            accepted.resume(returning: .failure(.refused(refusal)))
        }
    }
}

/// Why a message was not accepted.
public enum TurnError: Error, Sendable {
    case refused(BeginRefusal)
    case busy(step: Int, retryAfter: Duration)
    case store(StoreError)
    /// The server is about to stop.
    case draining
    /// As many steps run as this replica may run.
    case overloaded
}
