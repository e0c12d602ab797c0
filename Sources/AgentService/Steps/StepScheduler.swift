public import Logging
public import ServiceLifecycle
import Synchronization

/// Owns the tasks of all running steps and followers, so that they live as long as they must and not as long as the connection
/// of the client that asked for them.
///
/// On graceful shutdown it takes nothing new, lets running steps go on for the drain time, then tells them to stop, and ends
/// when the last one has. A cancellation tells them to stop, and waits for tasks alone: what a step without one has yet to write may be left to the
/// replica that takes it over.
public final class StepScheduler: Service {
    private struct State {
        var isDraining = false
        /// The drain time is over: what registers now is stopped at once.
        var isStopping = false
        /// The queues are closed.
        var isFinished = false
        var count = 0
        var controls: [ObjectIdentifier: StopSignal] = [:]

        /// - Returns: Whether nothing runs; then nothing more is let in.
        mutating func finishIfIdle() -> Bool {
            isFinished = count == 0
            return isFinished
        }
    }

    private typealias Job = @Sendable () async -> Void

    private static let slotsForEndings = 256

    private let state = Mutex(State())
    /// One queue for each event loop, so that a step starts on the loop of its client's connection.
    private let queues: [(executor: EventLoopExecutor, jobs: AsyncStream<Job>, submit: AsyncStream<Job>.Continuation)]
    private let executors: EventLoopExecutors
    private let next = Atomic<Int>(0)
    private let maximumSteps: Int
    private let drain: Duration
    /// How long it refuses what is new at least, so that load balancers learn of the stop before
    /// the port is closed.
    private let notice: Duration
    private let logger: Logger

    /// - Parameter notice: How long draining takes at least; a part of `drain`.
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
    /// What is under way, with what waits.
    var slots: Int { state.withLock { $0.count } }

    enum Refusal: Error {
        case draining
        case overloaded
    }

    /// What comes after a job.
    enum NextAction: Sendable {
        /// Nothing. This is done when its slot is free again.
        case end((@Sendable () -> Void)? = nil)
        /// Another job, at the same slot but in a task of its own: a task keeps the memory of its deepest call until it ends.
        case job(@Sendable () async -> NextAction)
        /// Something that is no task and tells at its end, once, what comes next. The slot is kept meanwhile.
        case wait(@Sendable (_ proceed: @escaping @Sendable (NextAction) -> Void) -> Void)
    }

    /// Runs `job` in a task of its own, on the event loop of the caller where it runs on one.
    ///
    /// - Parameter endsStep: It ends a running step. So it is let in while this replica drains, and may take one of a few slots beyond the bound: a
    ///   replica that is full must not refuse what makes room.
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

    private func proceed(with sequel: NextAction, in queue: AsyncStream<Job>.Continuation) {
        switch sequel {
        case .end(let last):
            leave()
            last?()
        case .job(let next):
            // Only after a cancellation the queue is closed while somebody has a slot.
            if case .terminated = queue.yield({ await self.perform(next, in: queue) }) {
                Task { await self.perform(next, in: queue) }
            }
        case .wait(let begin):
            begin { self.proceed(with: $0, in: queue) }
        }
    }

    /// Takes one of the slots that bound what this replica does at the same time; ``leave()`` gives it back.
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
                    // Cancelled when all have ended by themselves: then what ends a step may still come in.
                    do { try await Task.sleep(for: self.drain) } catch { return }
                    self.stopAll()
                    await self.idle()
                }
                await group.next()
                group.cancelAll()
            }
        }
        try? await Task.sleep(until: noticed, clock: .continuous)
        // What ends a step may have come in since.
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

    /// Returns when nothing runs. Every step ends by itself once it was stopped: each of its waits is bounded.
    private func idle() async {
        while state.withLock({ $0.count }) > 0 {
            do { try await Task.sleep(for: .milliseconds(20)) } catch { return }
        }
    }
}
