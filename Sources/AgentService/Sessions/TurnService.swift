public import LanguageModels
public import Logging
import NIOCore
import RedisClient
public import SessionStore

/// Runs turns: accepts a message, runs a step for it, and emits the step's events to the client.
public final class TurnService: Sendable {
    /// The bounds and times of steps.
    public let configuration: TurnConfiguration
    let store: RedisSessionStore
    let models: ModelCatalog
    let scheduler: StepScheduler
    let flushTimer: LogFlushTimer
    let keepAlive: KeepAlive
    /// The bound on the histories that this replica holds.
    package let histories: HistoryBudgets
    /// The reads of logs that viewers share.
    let feeds = LogFeeds()
    let logger: Logger
    private let systemPrompt: ByteBuffer?
    /// Notices that another replica has taken a lease of this one.
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
            // If the connection loses a notice, the next renewal finds the loss.
            if case .message(let message) = signal, let name = StepName(message: message) { flushTimer.check(name) }
        }
    }

    /// Accepts a message. When this returns, Redis has stored the message, and the stream will get
    /// its last event, or a signal to resume.
    ///
    /// - Parameters:
    ///   - request: The message and its settings.
    ///   - stream: Gets the events; the client may close it at any time.
    /// - Throws: ``TurnError``. Nothing was written then, unless its code is `outcomeUnknown`.
    public func start(_ request: TurnRequest, stream: ClientStream) async throws(TurnError) {
        var begin = BeginStep(
            session: request.session,
            input: request.input,
            systemPrompt: systemPrompt,
            settings: request.settings,
            idempotency: request.idempotency,
            expectedLength: request.expectedLength
        )
        begin.maximumAge = request.maximumAge
        begin.accounts = request.accounts
        begin.interrupts = request.onConflict == .interrupt
        let deadline = ContinuousClock.now.advanced(by: configuration.wait)
        do throws(TurnError) {
            let share = try await room(for: begin, as: request.requester, until: deadline)
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
                switch try await self.store.begin(begin, as: request.requester) {
                case .started(let started):
                    if started.lease.step == 1 { request.whenCreated?() }
                    if let id = request.lastEventID {
                        // The request was not accepted before: the client's events are another
                        // step's.
                        let restart = StepRestart(step: started.lease.step, replaces: id.step, reason: .unknownEventID)
                        stream.emit(.restarted(restart))
                    }
                    // The caller resumes while the model is already asked, unless the history is
                    // still to be read.
                    let step = StepRunner(
                        service: self, started: started, share: share, stream: stream, traceparent: request.traceparent,
                        requestID: request.requestID)
                    return await step.run(accepting: result)
                case .waiting(let step, let length, let open):
                    result.succeed(nil)
                    let summary = StepSummary(
                        status: .waiting, session: begin.session, step: step, historyLength: length, pendingCalls: open,
                        metadata: request.settings.metadata)
                    stream.finish { $0.emit(.finished(summary)) }
                    return .end()
                case .replay(let step):
                    result.succeed(nil)
                    // The closure does not keep the request: its body would stay in memory
                    // meanwhile.
                    let (session, id, requester) = (begin.session, request.lastEventID, request.requester)
                    return .job {
                        await self.replay(session, step: step, after: id, to: stream, as: requester)
                        stream.finish()
                        return .end()
                    }
                case .limited(let refusal):
                    return .end(result.decided(.failure(.limited(refusal))))
                case .busy(let step, let leaseLeft):
                    return .end(result.decided(.success(Conflict(step: step, leaseLeft: leaseLeft))))
                case .orphaned(let step):
                    let conflict = Conflict(step: step, leaseLeft: self.store.configuration.lease, isOrphaned: true)
                    return .end(result.decided(.success(conflict)))
                case .refused(let refusal, let orphan):
                    return .end(
                        result.decided(.failure(.refused(refusal))) {
                            // A client that repeats a refused request must not hide the step from
                            // the sweepers.
                            if let orphan { self.takeOverAside(begin.session, step: orphan) }
                        })
                }
            } catch {
                return .end(result.decided(.failure(.store(error))))
            }
        }
    }

    /// Runs `job` in a task that belongs to the scheduler, and waits for the result that the job
    /// gives.
    ///
    /// A job that takes a lease runs in such a task. If it ran in the handler's task, a client that
    /// leaves at the wrong moment would cancel it, and leave behind a lease without an owner.
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
