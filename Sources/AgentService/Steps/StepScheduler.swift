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

    private typealias Job = @Sendable () async -> Void

    private static let slotsForEndings = 256

    private let state = Mutex(State())
    /// A queue for each event loop: a step starts on the loop of its client's connection.
    private let queues: [(executor: EventLoopExecutor, jobs: AsyncStream<Job>, submit: AsyncStream<Job>.Continuation)]
    private let executors: EventLoopExecutors
    private let next = Atomic<Int>(0)
    private let maximumSteps: Int
    private let drain: Duration
    /// The shortest time in which it refuses new jobs, so that load balancers notice the stop
    /// before the port closes.
    private let notice: Duration
    private let logger: Logger

    /// - Parameter notice: The shortest time that draining takes; a part of `drain`.
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

    public var isDraining: Bool { state.withLock { $0.isDraining } }
    public var runningSteps: Int { state.withLock { $0.controls.count } }
    /// The jobs that run or wait.
    var slots: Int { state.withLock { $0.count } }

    enum Refusal: Error {
        case draining
        case overloaded
    }

    /// What follows a job.
    enum NextAction: Sendable {
        /// Nothing. The closure runs when the job's slot is free again.
        case end((@Sendable () -> Void)? = nil)
        /// Another job, in the same slot but in a task of its own: a task keeps the memory of its
        /// deepest call until it ends.
        case job(@Sendable () async -> NextAction)
        /// A wait that occupies no task. It calls `proceed` exactly once; the slot stays reserved
        /// until then.
        case wait(@Sendable (_ proceed: @escaping @Sendable (NextAction) -> Void) -> Void)
    }

    /// Runs `job` in a task of its own, on the caller's event loop if the caller runs on one.
    ///
    /// - Parameter endsStep: The job ends a running step. A draining replica accepts it, and so
    ///   does a full one, in one of a few slots beyond the bound: the job makes room.
    func start(endsStep: Bool = false, _ job: @escaping @Sendable () async -> NextAction) throws(Refusal) {
        try enter(endsStep: endsStep)
        let index = executors.currentIndex ?? next.wrappingAdd(1, ordering: .relaxed).oldValue
        let queue = queues[Int(UInt(bitPattern: index) % UInt(queues.count))].submit
        if case .terminated = queue.yield({ await self.perform(job, in: queue) }) {
            leave()
            throw .draining
        }
    }

    private func perform(_ job: @Sendable () async -> NextAction, in queue: AsyncStream<Job>.Continuation) async {
        proceed(with: await job(), in: queue)
    }

    private func proceed(with action: NextAction, in queue: AsyncStream<Job>.Continuation) {
        switch action {
        case .end(let last):
            leave()
            last?()
        case .job(let next):
            // Only a cancellation closes the queue while a job has a slot.
            if case .terminated = queue.yield({ await self.perform(next, in: queue) }) {
                Task { await self.perform(next, in: queue) }
            }
        case .wait(let begin):
            begin { self.proceed(with: $0, in: queue) }
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
