import Locks
import Logging
import ServiceLifecycle
import TestSupport
import Testing

@testable import AgentService

@Suite("The step scheduler", .tags(.clock), .serialized)
struct StepSchedulerTests {
    /// A scheduler that runs as a service.
    struct Running {
        let scheduler: StepScheduler
        let group: ServiceGroup
        let task: Task<Void, any Error>

        init(maximumSteps: Int = 10, drain: Duration = .seconds(30), notice: Duration = .zero) {
            let scheduler = StepScheduler(
                maximumSteps: maximumSteps, drain: drain, notice: notice, executors: .shared, logger: .quiet)
            let group = ServiceGroup(services: [scheduler], logger: .quiet)
            (self.scheduler, self.group) = (scheduler, group)
            task = Task { try await group.run() }
        }

        /// Sends SIGTERM, and waits until the scheduler has seen it.
        func drain() async throws {
            await group.triggerGracefulShutdown()
            try await eventually("it drains") { scheduler.isDraining }
        }

        func ended() async throws {
            try await task.value("the scheduler ends")
        }
    }

    /// Records the jobs that ran.
    final class Box: Sendable {
        let isOver = Guarded(false)
        let reason = Guarded<StopReason?>(nil)
        let suspension = Guarded<StepScheduler.Suspension?>(nil)

        func keep(_ new: consuming StepScheduler.Suspension) {
            var new = Optional(new)
            suspension.withLock { $0 = new.take() }
        }

        func resume(with next: consuming StepScheduler.NextAction) {
            suspension.withLock { $0.take() }?.resume(with: next)
        }

        func drop() {
            _ = suspension.withLock { $0.take() }
        }

        var isSuspended: Bool { suspension.withLock { $0 != nil } }
    }

    @Test("Jobs run at the same time")
    func jobsRunAtOnce() async throws {
        let running = Running()
        let gate = Gate()
        for _ in 0..<10 { try running.scheduler.launch { await gate.pass() } }
        try await eventually("all run") { gate.arrivals == 10 }
        gate.open()
        try await running.drain()
        try await running.ended()
    }

    /// Load balancers need the time of the notice, even if no step runs.
    @Test("A stop lasts at least as long as the drain notice")
    func aStopIsNoticedBeforeItsEnd() async throws {
        let running = Running(notice: .milliseconds(300))
        let begun = ContinuousClock.now
        try await running.drain()
        #expect(throws: StepScheduler.Refusal.draining) { try running.scheduler.launch {} }
        try await running.ended()
        #expect(begun.duration(to: .now) >= .milliseconds(300))
        // The notice is a part of the drain.
        let short = Running(drain: .milliseconds(10), notice: .seconds(600))
        try await short.drain()
        try await short.ended()
    }

    /// A cancelled step frees its slot, and no longer delays the stop.
    @Test("Cancels are accepted during the drain")
    func whatEndsAStepIsLetInWhileItDrains() async throws {
        let running = Running(maximumSteps: 1)
        let gate = Gate()
        try running.scheduler.launch { await gate.pass() }
        try await running.drain()
        #expect(throws: StepScheduler.Refusal.draining) { try running.scheduler.launch {} }
        try running.scheduler.launch(endsStep: true) { gate.open() }
        try await running.ended()
        #expect(throws: StepScheduler.Refusal.draining) { try running.scheduler.launch(endsStep: true) {} }
    }

    /// A suspended step needs no task. It continues as a job.
    @Test("A suspended step keeps its slot and delays the stop")
    func whatIsWaitedForHasItsPlace() async throws {
        let running = Running(maximumSteps: 1)
        let (ways, over) = (Box(), Gate())
        try running.scheduler.start {
            .suspend { ways.keep($0) }
        }
        try await eventually("it is waited for") { ways.isSuspended }
        #expect(throws: StepScheduler.Refusal.overloaded) { try running.scheduler.launch {} }
        try await running.drain()
        #expect(running.scheduler.slots == 1)
        ways.resume(
            with: .job {
                over.open()
                return .suspend { $0.resume(with: .end(.init { ways.isOver.withLock { $0 = true } })) }
            })
        await over.pass()
        try await running.ended()
        #expect(ways.isOver.withLock { $0 } && running.scheduler.slots == 0)
    }

    /// A dropped suspension is a defect. It must not prevent a stop.
    @Test("A dropped suspension releases its slot")
    func aDroppedSuspensionReleasesItsSlot() async throws {
        let running = Running(maximumSteps: 1)
        let box = Box()
        try running.scheduler.start { .suspend { box.keep($0) } }
        try await eventually("it is suspended") { box.isSuspended }
        #expect(running.scheduler.slots == 1)
        box.drop()
        #expect(running.scheduler.slots == 0)
        try await running.drain()
        try await running.ended()
    }

    /// The service's task is cancelled without a graceful stop.
    @Test("A cancelled scheduler stops suspended steps, and their next jobs still run")
    func aCancellationStopsWhatIsWaitedFor() async throws {
        let scheduler = StepScheduler(maximumSteps: 1, drain: .seconds(30), executors: .shared, logger: .quiet)
        let service = Task { try await scheduler.run() }
        let (stopSignal, over, box) = (StopSignal(), Gate(), Box())
        scheduler.register(stopSignal)
        try scheduler.start {
            .suspend { suspension in
                box.keep(suspension)
                stopSignal.whenStopped {
                    box.resume(
                        with: .job {
                            over.open()
                            return .end()
                        })
                }
            }
        }
        try await eventually("it is waited for") { scheduler.slots == 1 }
        service.cancel()
        await over.pass()
        #expect(stopSignal.reason == .draining)
        try await eventually("its place is free") { scheduler.slots == 0 }
        try await service.value("the scheduler ends")
    }

    /// The job must not be dropped without a report.
    @Test("A job after the cancellation is refused")
    func aJobThatNobodyWillRunIsRefused() async throws {
        let scheduler = StepScheduler(maximumSteps: 1, drain: .seconds(30), executors: .shared, logger: .quiet)
        let service = Task { try await scheduler.run() }
        service.cancel()
        try await service.value("the scheduler ends")
        #expect(throws: StepScheduler.Refusal.draining) { try scheduler.launch {} }
        #expect(throws: StepScheduler.Refusal.draining) { try scheduler.launch(endsStep: true) {} }
        #expect(scheduler.slots == 0)
    }

    /// A caller that waits for the end of both jobs finds the slot free.
    @Test("A job and its successor share one slot")
    func whatFollowsAJobHasItsPlace() async throws {
        let running = Running(maximumSteps: 1)
        let gate = Gate()
        let places: Int = await withCheckedContinuation { continuation in
            try? running.scheduler.start { () -> StepScheduler.NextAction in
                .job {
                    await gate.pass()
                    return .end(.init { continuation.resume(returning: running.scheduler.slots) })
                }
            }
            #expect(throws: StepScheduler.Refusal.overloaded) { try running.scheduler.launch {} }
            gate.open()
        }
        #expect(places == 0)
        try await running.drain()
        try await running.ended()
    }

    @Test("The number of steps is bounded")
    func thereAreNotMoreThanTheBound() async throws {
        let running = Running(maximumSteps: 2)
        let gate = Gate()
        for _ in 0..<2 { try running.scheduler.launch { await gate.pass() } }
        #expect(throws: StepScheduler.Refusal.overloaded) { try running.scheduler.launch {} }
        gate.open()
        try await eventually("there is room again") { (try? running.scheduler.launch {}) != nil }
        try await running.drain()
        try await running.ended()
    }

    @Test("An idle scheduler ends at once")
    func itEndsAtOnceWhereNothingRuns() async throws {
        let running = Running()
        #expect(!running.scheduler.isDraining)
        try await running.drain()
        try await running.ended()
        #expect(throws: StepScheduler.Refusal.draining) { try running.scheduler.launch {} }
    }

    @Test("The drain waits for running steps and refuses new ones")
    func whatRunsIsWaitedForAndNothingNewIsTaken() async throws {
        let running = Running()
        let (gate, box, stopSignal) = (Gate(), Box(), StopSignal())
        running.scheduler.register(stopSignal)
        try running.scheduler.launch {
            await gate.pass()
            box.isOver.withLock { $0 = true }
        }
        try await running.drain()
        #expect(throws: StepScheduler.Refusal.draining) { try running.scheduler.launch {} }
        #expect(stopSignal.reason == nil)
        gate.open()
        try await running.ended()
        #expect(box.isOver.withLock { $0 })
    }

    @Test("Steps that outlast the drain are stopped")
    func whatRunsAfterTheDrainTimeIsStopped() async throws {
        let running = Running(drain: .milliseconds(50))
        let box = Box()
        try running.scheduler.launch {
            let stopSignal = StopSignal()
            running.scheduler.register(stopSignal)
            let reason = await stopSignal.stopped()
            box.reason.withLock { $0 = reason }
            running.scheduler.unregister(stopSignal)
        }
        try await eventually("it runs") { running.scheduler.runningSteps == 1 }
        try await running.drain()
        try await running.ended()
        #expect(box.reason.withLock { $0 } == .draining)
        #expect(running.scheduler.runningSteps == 0)
    }

    /// Its message was on the way to Redis when the drain time ended.
    @Test("A step that begins after the drain is stopped as well")
    func whatBeginsAfterTheDrainTimeIsStoppedToo() async throws {
        let running = Running(drain: .milliseconds(50))
        let (gate, box, first) = (Gate(), Box(), StopSignal())
        running.scheduler.register(first)
        try running.scheduler.launch {
            await gate.pass()
            let stopSignal = StopSignal()
            running.scheduler.register(stopSignal)
            let reason = await stopSignal.stopped()
            box.reason.withLock { $0 = reason }
            running.scheduler.unregister(stopSignal)
        }
        try await running.drain()
        try await eventually("the time is over") { first.reason == .draining }
        gate.open()
        try await running.ended()
        #expect(box.reason.withLock { $0 } == .draining)
    }
}

extension StepScheduler {
    /// Launches a job without a successor.
    fileprivate func launch(endsStep: Bool = false, _ job: @escaping @Sendable () async -> Void) throws(Refusal) {
        try start(endsStep: endsStep) { () -> NextAction in
            await job()
            return .end()
        }
    }
}
