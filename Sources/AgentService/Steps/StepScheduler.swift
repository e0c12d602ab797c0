import Locks
public import Logging
public import ServiceLifecycle
import Synchronization

/// Owns the tasks of all running steps and followers, so that a step outlives the connection of the
/// client that asked for it.
///
/// On graceful shutdown it refuses new jobs, lets running steps go on for the drain time, then
/// stops them, and ends when the last one has ended. A cancellation stops all steps and waits for
/// tasks only: a step that waits without one is left to the replica that takes it over.
public final class StepScheduler: Service {
    private struct State {
        var isDraining = false
        /// The drain time is over: a step that registers now is stopped at once.
        var isStopping = false
        /// The queues are closed.
        var isFinished = false
        var count = 0
        var controls: [ObjectIdentifier: StopSignal] = [:]

        /// Closes the queues if no job runs, and returns whether it did.
        mutating func finishIfIdle() -> Bool {
            isFinished = count == 0
            return isFinished
        }
    }

    typealias Job = @Sendable () async -> Void
    /// Where the jobs of one event loop go.
    typealias Queue = AsyncStream<Job>.Continuation

    private static let slotsForEndings = 256

    private let state = Guarded(State())
    /// A queue for each event loop: a step starts on the loop of its client's connection.
    private let queues: [(executor: EventLoopExecutor, jobs: AsyncStream<Job>, submit: Queue)]
    private let executors: EventLoopExecutors
    private let next = Atomic<Int>(0)
    private let maximumSteps: Int
    private let drain: Duration
    /// The shortest time in which it refuses new jobs, so that load balancers notice the stop
    /// before the port closes.
    private let notice: Duration
    let logger: Logger

    /// - Parameters:
    ///   - maximumSteps: The number of steps that may run at the same time.
    ///   - drain: How long steps may run on after a shutdown began.
    ///   - notice: The shortest time that draining takes; a part of `drain`.
    ///   - executors: The event loops of the steps.
    ///   - logger: For steps that outlast the drain.
    public init(maximumSteps: Int, drain: Duration, notice: Duration = .zero, executors: EventLoopExecutors, logger: Logger) {
        self.maximumSteps = maximumSteps
        self.drain = drain
        self.notice = min(notice, drain)
        self.logger = logger
        self.executors = executors
        // Bounded by the slots: a job is only submitted under a reservation.
        queues = executors.all.map { executor in
            let (jobs, submit) = AsyncStream<Job>.makeStream()
            return (executor, jobs, submit)
        }
    }

    /// Whether the scheduler accepts no new steps.
    public var isDraining: Bool { state.withLock { $0.isDraining } }
    /// The number of steps that run now.
    public var runningSteps: Int { state.withLock { $0.controls.count } }
    /// The jobs that run or wait.
    var slots: Int { state.withLock { $0.count } }

    enum Refusal: Error {
        case draining
        case overloaded
    }

    /// Runs `job` in a task of its own, on the caller's event loop if the caller runs on one.
    ///
    /// - Parameter endsStep: The job ends a running step. A draining replica accepts it, and so
    ///   does a full one, in one of a few slots beyond the bound: the job makes room.
    func start(endsStep: Bool = false, _ job: @escaping @Sendable () async -> NextAction) throws(Refusal) {
        try enter(endsStep: endsStep)
        let index = executors.currentIndex ?? next.wrappingAdd(1, ordering: .relaxed).oldValue
        let queue = queues[Int(UInt(bitPattern: index) % UInt(queues.count))].submit
        if case .terminated = queue.yield({ await self.run(job, in: queue) }) {
            leave()
            throw .draining
        }
    }

    private func run(_ job: @Sendable () async -> NextAction, in queue: Queue) async {
        perform(await job(), in: queue)
    }

    /// Does what follows a job.
    func perform(_ action: consuming NextAction, in queue: Queue) {
        switch consume action {
        case .end(let epilogue):
            leave()
            epilogue?.run()
        case .job(let next):
            // The queue is closed while a slot is taken only after a cancellation.
            if case .terminated = queue.yield({ await self.run(next, in: queue) }) {
                Task { await self.run(next, in: queue) }
            }
        case .suspend(let begin):
            begin(Suspension(self, queue))
        }
    }

    /// Reserves one of the slots that bound the work of this replica; ``leave()`` releases it.
    func enter() throws(Refusal) { try enter(endsStep: false) }

    private func enter(endsStep: Bool) throws(Refusal) {
        let limit = endsStep ? maximumSteps + Self.slotsForEndings : maximumSteps
        let refusal = state.withLock { state -> Refusal? in
            if endsStep ? state.isStopping || state.isFinished : state.isDraining { return .draining }
            if state.count >= limit { return .overloaded }
            state.count += 1
            return nil
        }
        if let refusal { throw refusal }
    }

    func leave() {
        state.withLock { $0.count -= 1 }
    }

    func register(_ stopSignal: StopSignal) {
        let isStopping = state.withLock { state in
            state.controls[ObjectIdentifier(stopSignal)] = stopSignal
            return state.isStopping
        }
        if isStopping { stopSignal.stop(.draining) }
    }

    func unregister(_ stopSignal: StopSignal) {
        state.withLock { _ = $0.controls.removeValue(forKey: ObjectIdentifier(stopSignal)) }
    }

    /// Waits for the service group's shutdown, then drains the steps.
    public func run() async throws {
        await withTaskCancellationHandler {
            await withDiscardingTaskGroup { group in
                group.addTask {
                    try? await gracefulShutdown()
                    await self.shutDown()
                }
                for (executor, jobs, _) in queues {
                    group.addTask(executorPreference: executor) {
                        await withDiscardingTaskGroup { steps in
                            for await job in jobs { steps.addTask { await job() } }
                        }
                    }
                }
            }
        } onCancel: {
            stopAll()
        }
    }

    private func shutDown() async {
        let noticed = ContinuousClock.now.advanced(by: notice)
        let count = state.withLock { state in
            state.isDraining = true
            return state.count
        }
        if count > 0 {
            logger.info("draining", metadata: ["steps": "\(count)", "seconds": "\(drain.components.seconds)"])
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.idle() }
                group.addTask {
                    // Cancelled when all jobs have ended on their own: a job that ends a step may
                    // still come in then.
                    do { try await Task.sleep(for: self.drain) } catch { return }
                    self.stopAll()
                    await self.idle()
                }
                await group.next()
                group.cancelAll()
            }
        }
        try? await Task.sleep(until: noticed, clock: .continuous)
        // A job that ends a step may have come in since.
        while !state.withLock({ $0.finishIfIdle() }), !Task.isCancelled { await idle() }
        state.withLock { $0.isFinished = true }
        for queue in queues { queue.submit.finish() }
    }

    private func stopAll() {
        let controls = state.withLock { state in
            state.isStopping = true
            return Array(state.controls.values)
        }
        for stopSignal in controls { stopSignal.stop(.draining) }
    }

    /// Returns when no job runs. A stopped step ends on its own: each of its waits is bounded.
    private func idle() async {
        while state.withLock({ $0.count }) > 0 {
            do { try await Task.sleep(for: .milliseconds(20)) } catch { return }
        }
    }
}
