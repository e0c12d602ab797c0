public import LanguageModels
public import Logging
import NIOCore
import RedisClient
public import SessionStore

/// Runs turns: accepts a message, has a step run for it, and tells the client.
public final class TurnService: Sendable {
    /// The bounds and times of steps.
    public let configuration: TurnConfiguration
    let store: RedisSessionStore
    let models: ModelCatalog
    let scheduler: StepScheduler
    let flushTimer: LogFlushTimer
    let keepAlive: KeepAlive
    /// What is held of histories.
    package let histories: HistoryBudgets
    /// What its viewers share.
    let feeds = LogFeeds()
    let logger: Logger
    private let systemPrompt: ByteBuffer?
    /// Tells the logs when a lease of theirs was taken.
    private let takeoverNotices: RedisSubscription

    /// - Parameters:
    ///   - store: The sessions.
    ///   - models: The models that turns may name.
    ///   - scheduler: Runs the steps.
    ///   - flushTimer: Sends the logs of all steps to Redis.
    ///   - keepAlive: Writes keep-alives to all streams.
    ///   - configuration: The bounds and times of steps.
    ///   - logger: For failures of steps.
    public init(
        store: RedisSessionStore,
        models: ModelCatalog,
        scheduler: StepScheduler,
        flushTimer: LogFlushTimer,
        keepAlive: KeepAlive,
        configuration: TurnConfiguration,
        logger: Logger
    ) {
        self.store = store
        self.models = models
        self.scheduler = scheduler
        self.flushTimer = flushTimer
        self.keepAlive = keepAlive
        self.configuration = configuration
        self.logger = logger
        histories = HistoryBudgets(limit: configuration.historyBytesInFlight)
        systemPrompt = configuration.systemPrompt.map(ChatMessage.system)
        takeoverNotices = store.messagesToReplica { signal in
            // What is lost with the connection is learned with the next renewal.
            if case .message(let message) = signal, let name = StepName(message: message) { flushTimer.check(name) }
        }
    }

    /// Accepts a message. When this returns, it is stored, and the stream will end with `done` whatever happens.
    ///
    /// - Parameters:
    ///   - request: The message and its settings.
    ///   - stream: Receives the events. It may be closed at any time.
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
        let deadline = ContinuousClock.now.advanced(by: configuration.wait)
        do throws(TurnError) {
            let share = try await room(for: begin, until: deadline)
            var isFirst = true
            while let conflict = try await attempt(begin, share: share, request: request, stream: stream) {
                guard isFirst || ContinuousClock.now < deadline else { throw conflict.error }
                isFirst = false
                try await resolve(conflict, for: request, stream: stream, deadline: deadline)
            }
        } catch {
            stream.finish()
            throw error
        }
        keepAlive.add(stream)
    }

    /// - Returns: Nil when the message was accepted.
    private func attempt(
        _ begin: BeginStep, share: ByteShare?, request: TurnRequest, stream: ClientStream
    ) async throws(TurnError) -> Conflict? {
        try await inTask { result in
            do throws(StoreError) {
                switch try await self.store.begin(begin) {
                case .started(let started):
                    if let id = request.lastEventID {
                        // Sent again, but not remembered: what the client has is another answer's.
                        let json = StreamChunk.restart(step: started.lease.step, replaces: id.step, reason: .unknownEventID)
                        stream.write { EventEncoder.write(unlogged: .restart, json: json, into: &$0) }
                    }
                    // The client hears that its message was accepted while the model is already asked, unless the history is still to be read.
                    let step = StepRunner(
                        service: self, started: started, share: share, stream: stream, traceparent: request.traceparent,
                        requestID: request.requestID)
                    return await step.run(accepting: result)
                case .waiting(let step, let length, let open):
                    result.succeed(nil)
                    let done = DoneEvent(
                        status: .waiting, session: begin.session, step: step, historyLength: length, pendingCalls: open,
                        metadata: request.settings.metadata)
                    stream.write { EventEncoder.write(unlogged: .done, json: done.json, into: &$0) }
                    stream.finish()
                    return .end()
                case .replay(let step):
                    result.succeed(nil)
                    // Not the request: its body would stay as long as the step is followed.
                    let (session, id) = (begin.session, request.lastEventID)
                    return .job {
                        await self.replay(session, step: step, after: id, to: stream)
                        stream.finish()
                        return .end()
                    }
                case .busy(let step, let leaseLeft):
                    return .end(result.decided(.success(Conflict(step: step, leaseLeft: leaseLeft))))
                case .orphaned(let step):
                    let conflict = Conflict(step: step, leaseLeft: self.store.configuration.lease, isOrphaned: true)
                    return .end(result.decided(.success(conflict)))
                case .refused(let refusal, let orphan):
                    return .end(
                        result.decided(.failure(.refused(refusal))) {
                            // A client that repeats a refused request must not hide the step from the sweepers.
                            if let orphan { self.takeOverAside(begin.session, step: orphan) }
                        })
                }
            } catch {
                return .end(result.decided(.failure(.store(error))))
            }
        }
    }

    /// Runs `job` in a task that belongs to the scheduler, and waits for the result that the job gives.
    ///
    /// A job that takes a lease runs in such a task. If it ran in the handler's task, a client that leaves
    /// at the wrong moment would cancel it, and leave behind a lease without an owner.
    func inTask<Value: Sendable>(
        endsStep: Bool = false,
        _ job: @escaping @Sendable (consuming PendingResult<Value>) async -> StepScheduler.NextAction
    ) async throws(TurnError) -> Value {
        let result = await withCheckedContinuation { (continuation: PendingResult<Value>.Continuation) in
            do throws(StepScheduler.Refusal) {
                try scheduler.start(endsStep: endsStep) { [logger] in await job(PendingResult(continuation, logger: logger)) }
            } catch {
                continuation.resume(returning: .failure(TurnError(error)))
            }
        }
        return try result.get()
    }
}

/// Why a message was not accepted.
public enum TurnError: Error, Sendable {
    /// The session does not accept the message.
    case refused(BeginRefusal)
    /// A step of the session runs.
    case busy(step: Int, retryAfter: Duration)
    /// Redis has failed.
    case store(StoreError)
    /// The server is about to stop.
    case draining
    /// As many steps run as this replica may run.
    case overloaded
    /// As many bytes are held as this replica may hold, and there was no room in time.
    case crowded
    /// There is nothing to cancel.
    case notRunning
    /// The session does not exist.
    case noSession
    /// A defect: the request was left without a result. It may have been accepted.
    case lostResult

    init(_ refusal: StepScheduler.Refusal) {
        self =
            switch refusal {
            case .draining: .draining
            case .overloaded: .overloaded
            }
    }
}
