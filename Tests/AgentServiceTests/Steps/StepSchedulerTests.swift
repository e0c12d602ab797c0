import Logging
import ServiceLifecycle
import Synchronization
import TestSupport
import Testing

@testable import AgentService

/// Who runs steps, and how it ends.
@Suite struct StepSchedulerTests {
    /// A supervisor that runs as a service.
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

        /// SIGTERM has come, and the supervisor knows.
        func drain() async throws {
            await group.triggerGracefulShutdown()
            try await eventually("it drains") { scheduler.isDraining }
        }

        func ended() async throws {
            try await task.value("the scheduler ends")
        }
    }

    /// What a job leaves behind.
    final class Box: Sendable {
        let isOver = Mutex(false)
        let reason = Mutex<StopReason?>(nil)
        let suspension = Mutex<StepScheduler.Suspension?>(nil)

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

    @Test func jobsRunAtOnce() async throws {
        let running = Running()
        let gate = Gate()
        for _ in 0..<10 { try running.scheduler.launch { await gate.pass() } }
        try await eventually("all run") { gate.arrivals == 10 }
        gate.open()
        try await running.drain()
        try await running.ended()
    }

    /// Load balancers must have the time to notice, also where nothing runs.
    @Test func aStopIsNoticedBeforeItsEnd() async throws {
        let running = Running(notice: .milliseconds(300))
        let begun = ContinuousClock.now
        try await running.drain()
        #expect(throws: StepScheduler.Refusal.draining) { try running.scheduler.launch {} }
        try await running.ended()
        #expect(begun.duration(to: .now) >= .milliseconds(300))
        // It is a part of the drain.
        let short = Running(drain: .milliseconds(10), notice: .seconds(600))
        try await short.drain()
        try await short.ended()
    }

    /// A step that is cancelled makes room, also while it holds up the stop.
    @Test func whatEndsAStepIsLetInWhileItDrains() async throws {
        let running = Running(maximumSteps: 1)
        let gate = Gate()
        try running.scheduler.launch { await gate.pass() }
        try await running.drain()
        #expect(throws: StepScheduler.Refusal.draining) { try running.scheduler.launch {} }
        try running.scheduler.launch(endsStep: true) { gate.open() }
        try await running.ended()
        #expect(throws: StepScheduler.Refusal.draining) { try running.scheduler.launch(endsStep: true) {} }
    }

    /// What is no task has its place all the same, holds up the stop, and is gone on with in a job.
    @Test func whatIsWaitedForHasItsPlace() async throws {
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

    /// A dropped suspension is a defect. It must not hold up a stop for ever.
    @Test func aDroppedSuspensionReleasesItsSlot() async throws {
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

    /// A service that is cancelled, without a graceful end, stops what it waits for; that is still gone on with.
    @Test func aCancellationStopsWhatIsWaitedFor() async throws {
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

    /// What comes after a cancellation is refused, not lost.
    @Test func aJobThatNobodyWillRunIsRefused() async throws {
        let scheduler = StepScheduler(maximumSteps: 1, drain: .seconds(30), executors: .shared, logger: .quiet)
        let service = Task { try await scheduler.run() }
        service.cancel()
        try await service.value("the scheduler ends")
        #expect(throws: StepScheduler.Refusal.draining) { try scheduler.launch {} }
        #expect(throws: StepScheduler.Refusal.draining) { try scheduler.launch(endsStep: true) {} }
        #expect(scheduler.slots == 0)
    }

    /// A job and what follows it have one place between them, and whoever waits for the end finds it free.
    @Test func whatFollowsAJobHasItsPlace() async throws {
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

    @Test func thereAreNotMoreThanTheBound() async throws {
        let running = Running(maximumSteps: 2)
        let gate = Gate()
        for _ in 0..<2 { try running.scheduler.launch { await gate.pass() } }
        #expect(throws: StepScheduler.Refusal.overloaded) { try running.scheduler.launch {} }
        gate.open()
        try await eventually("there is room again") { (try? running.scheduler.launch {}) != nil }
        try await running.drain()
        try await running.ended()
    }

    @Test func itEndsAtOnceWhereNothingRuns() async throws {
        let running = Running()
        #expect(!running.scheduler.isDraining)
        try await running.drain()
        try await running.ended()
        #expect(throws: StepScheduler.Refusal.draining) { try running.scheduler.launch {} }
    }

    @Test func whatRunsIsWaitedForAndNothingNewIsTaken() async throws {
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

    @Test func whatRunsAfterTheDrainTimeIsStopped() async throws {
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

    /// Its message was on the way to Redis while the time ran out.
    @Test func whatBeginsAfterTheDrainTimeIsStoppedToo() async throws {
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
    /// A job after which nothing comes.
    fileprivate func launch(endsStep: Bool = false, _ job: @escaping @Sendable () async -> Void) throws(Refusal) {
        try start(endsStep: endsStep) { () -> NextAction in
            await job()
            return .end()
        }
    }
}
