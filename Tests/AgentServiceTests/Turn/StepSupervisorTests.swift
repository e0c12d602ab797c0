import Logging
import ServiceLifecycle
import Synchronization
import TestSupport
import Testing

@testable import AgentService

/// Who runs steps, and how it ends.
@Suite struct StepSupervisorTests {
    /// A supervisor that runs as a service.
    struct Running {
        let supervisor: StepSupervisor
        let group: ServiceGroup
        let task: Task<Void, any Error>

        init(maximumSteps: Int = 10, drain: Duration = .seconds(30), notice: Duration = .zero) {
            let supervisor = StepSupervisor(
                maximumSteps: maximumSteps, drain: drain, notice: notice, executors: .shared, logger: .quiet)
            let group = ServiceGroup(services: [supervisor], logger: .quiet)
            (self.supervisor, self.group) = (supervisor, group)
            task = Task { try await group.run() }
        }

        /// SIGTERM has come, and the supervisor knows.
        func drain() async throws {
            await group.triggerGracefulShutdown()
            try await eventually("it drains") { supervisor.isDraining }
        }

        func ended() async throws {
            try await task.value("the supervisor ends")
        }
    }

    /// What a job leaves behind.
    final class Box: Sendable {
        let isOver = Mutex(false)
        let reason = Mutex<StopReason?>(nil)
        let proceed = Mutex<(@Sendable (StepSupervisor.Sequel) -> Void)?>(nil)
    }

    @Test func jobsRunAtOnce() async throws {
        let running = Running()
        let gate = Gate()
        for _ in 0..<10 { try running.supervisor.launch { await gate.pass() } }
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
        #expect(throws: StepSupervisor.Refusal.draining) { try running.supervisor.launch {} }
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
        try running.supervisor.launch { await gate.pass() }
        try await running.drain()
        #expect(throws: StepSupervisor.Refusal.draining) { try running.supervisor.launch {} }
        try running.supervisor.launch(endsStep: true) { gate.open() }
        try await running.ended()
        #expect(throws: StepSupervisor.Refusal.draining) { try running.supervisor.launch(endsStep: true) {} }
    }

    /// What is no task has its place all the same, holds up the stop, and is gone on with in a job.
    @Test func whatIsWaitedForHasItsPlace() async throws {
        let running = Running(maximumSteps: 1)
        let (ways, over) = (Box(), Gate())
        try running.supervisor.start {
            .wait { proceed in ways.proceed.withLock { $0 = proceed } }
        }
        try await eventually("it is waited for") { ways.proceed.withLock { $0 != nil } }
        #expect(throws: StepSupervisor.Refusal.overloaded) { try running.supervisor.launch {} }
        try await running.drain()
        #expect(running.supervisor.places == 1)
        ways.proceed.withLock { $0.take() }?(
            .job {
                over.open()
                return .wait { proceed in proceed(.end { ways.isOver.withLock { $0 = true } }) }
            })
        await over.pass()
        try await running.ended()
        #expect(ways.isOver.withLock { $0 } && running.supervisor.places == 0)
    }

    /// A service that is cancelled, without a graceful end, stops what it waits for; that is still gone on with.
    @Test func aCancellationStopsWhatIsWaitedFor() async throws {
        let supervisor = StepSupervisor(maximumSteps: 1, drain: .seconds(30), executors: .shared, logger: .quiet)
        let service = Task { try await supervisor.run() }
        let (control, over) = (StepControl(), Gate())
        supervisor.register(control)
        try supervisor.start {
            .wait { proceed in
                control.whenStopped {
                    proceed(
                        .job {
                            over.open()
                            return .end()
                        })
                }
            }
        }
        try await eventually("it is waited for") { supervisor.places == 1 }
        service.cancel()
        await over.pass()
        #expect(control.reason == .draining)
        try await eventually("its place is free") { supervisor.places == 0 }
        try await service.value("the supervisor ends")
    }

    /// What comes after a cancellation is refused, not lost.
    @Test func aJobThatNobodyWillRunIsRefused() async throws {
        let supervisor = StepSupervisor(maximumSteps: 1, drain: .seconds(30), executors: .shared, logger: .quiet)
        let service = Task { try await supervisor.run() }
        service.cancel()
        try await service.value("the supervisor ends")
        #expect(throws: StepSupervisor.Refusal.draining) { try supervisor.launch {} }
        #expect(throws: StepSupervisor.Refusal.draining) { try supervisor.launch(endsStep: true) {} }
        #expect(supervisor.places == 0)
    }

    /// A job and what follows it have one place between them, and whoever waits for the end finds it free.
    @Test func whatFollowsAJobHasItsPlace() async throws {
        let running = Running(maximumSteps: 1)
        let gate = Gate()
        let places: Int = await withCheckedContinuation { continuation in
            try? running.supervisor.start { () -> StepSupervisor.Sequel in
                .job {
                    await gate.pass()
                    return .end { continuation.resume(returning: running.supervisor.places) }
                }
            }
            #expect(throws: StepSupervisor.Refusal.overloaded) { try running.supervisor.launch {} }
            gate.open()
        }
        #expect(places == 0)
        try await running.drain()
        try await running.ended()
    }

    @Test func thereAreNotMoreThanTheBound() async throws {
        let running = Running(maximumSteps: 2)
        let gate = Gate()
        for _ in 0..<2 { try running.supervisor.launch { await gate.pass() } }
        #expect(throws: StepSupervisor.Refusal.overloaded) { try running.supervisor.launch {} }
        gate.open()
        try await eventually("there is room again") { (try? running.supervisor.launch {}) != nil }
        try await running.drain()
        try await running.ended()
    }

    @Test func itEndsAtOnceWhereNothingRuns() async throws {
        let running = Running()
        #expect(!running.supervisor.isDraining)
        try await running.drain()
        try await running.ended()
        #expect(throws: StepSupervisor.Refusal.draining) { try running.supervisor.launch {} }
    }

    @Test func whatRunsIsWaitedForAndNothingNewIsTaken() async throws {
        let running = Running()
        let (gate, box, control) = (Gate(), Box(), StepControl())
        running.supervisor.register(control)
        try running.supervisor.launch {
            await gate.pass()
            box.isOver.withLock { $0 = true }
        }
        try await running.drain()
        #expect(throws: StepSupervisor.Refusal.draining) { try running.supervisor.launch {} }
        #expect(control.reason == nil)
        gate.open()
        try await running.ended()
        #expect(box.isOver.withLock { $0 })
    }

    @Test func whatRunsAfterTheDrainTimeIsStopped() async throws {
        let running = Running(drain: .milliseconds(50))
        let box = Box()
        try running.supervisor.launch {
            let control = StepControl()
            running.supervisor.register(control)
            let reason = await control.stopped()
            box.reason.withLock { $0 = reason }
            running.supervisor.unregister(control)
        }
        try await eventually("it runs") { running.supervisor.runningSteps == 1 }
        try await running.drain()
        try await running.ended()
        #expect(box.reason.withLock { $0 } == .draining)
        #expect(running.supervisor.runningSteps == 0)
    }

    /// Its message was on the way to Redis while the time ran out.
    @Test func whatBeginsAfterTheDrainTimeIsStoppedToo() async throws {
        let running = Running(drain: .milliseconds(50))
        let (gate, box, first) = (Gate(), Box(), StepControl())
        running.supervisor.register(first)
        try running.supervisor.launch {
            await gate.pass()
            let control = StepControl()
            running.supervisor.register(control)
            let reason = await control.stopped()
            box.reason.withLock { $0 = reason }
            running.supervisor.unregister(control)
        }
        try await running.drain()
        try await eventually("the time is over") { first.reason == .draining }
        gate.open()
        try await running.ended()
        #expect(box.reason.withLock { $0 } == .draining)
    }
}

extension StepSupervisor {
    /// A job after which nothing comes.
    fileprivate func launch(endsStep: Bool = false, _ job: @escaping @Sendable () async -> Void) throws(Refusal) {
        try start(endsStep: endsStep) { () -> Sequel in
            await job()
            return .end()
        }
    }
}
