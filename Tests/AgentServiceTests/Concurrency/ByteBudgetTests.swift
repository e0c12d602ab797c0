import TestSupport
import Testing

@testable import AgentService

@Suite("A bound on bytes", .timeLimit(.minutes(1)))
struct ByteBudgetTests {
    private var later: ContinuousClock.Instant { .now.advanced(by: .seconds(30)) }

    @Test("Bytes count until their share is released")
    func bytesCountUntilTheirShareIsLetGoOf() throws {
        let budget = ByteBudget(limit: 100)
        var one = budget.take(60)
        #expect(one != nil && budget.used == 60)
        #expect(budget.take(41) == nil && budget.used == 60)
        let two = try #require(budget.take(40))
        #expect(budget.used == 100 && budget.take(0) != nil && budget.take(1) == nil)
        one = nil
        #expect(budget.used == 40 && budget.released == 60)
        two.resize(to: 10)
        #expect(budget.used == 10 && budget.released == 90 && two.bytes == 10)
        // Bytes that are already held count and do not wait.
        two.resize(to: 150)
        two.add(5)
        #expect(budget.used == 155 && budget.take(1) == nil)
        withExtendedLifetime(two) {}
    }

    @Test("The longest waiter is served first")
    func whoHasWaitedLongestComesFirst() async throws {
        let budget = ByteBudget(limit: 100)
        var held = budget.take(100)
        #expect(held != nil)
        var order: [Int] = []
        let deadline = later
        try await withThrowingTaskGroup(of: Int.self) { group in
            // No two large ones fit at the same time. The small one would fit beside the first, and
            // still does not overtake the others.
            for (number, bytes) in [95, 5, 96, 97].enumerated() {
                group.addTask { await budget.take(bytes, until: deadline)?.bytes ?? -1 }
                try await eventually("it waits") { budget.waitingCount == number + 1 }
            }
            #expect(budget.take(1) == nil)
            held = nil
            for try await bytes in group { order.append(bytes) }
        }
        #expect(Set(order.prefix(2)) == [95, 5])
        #expect(order.suffix(2) == [96, 97])
        #expect(budget.used == 0 && !budget.isCrowded)
    }

    @Test("A request larger than the bound is admitted alone")
    func moreThanTheBoundIsLetInAlone() async throws {
        let budget = ByteBudget(limit: 100)
        var small = budget.take(1)
        async let large = budget.take(500, until: later)
        try await eventually("it waits") { budget.isCrowded }
        #expect(small != nil)
        small = nil
        let share = await large
        #expect(share?.bytes == 500 && budget.take(1) == nil)
        share?.resize(to: 0)
        #expect(budget.take(1) != nil)
    }

    @Test("A wait ends at its deadline or when it is stopped")
    func aWaitEndsAtItsDeadlineOrWhenItIsStopped() async throws {
        let budget = ByteBudget(limit: 100)
        let held = budget.take(100)
        #expect(await budget.take(1, until: .now.advanced(by: .milliseconds(20))) == nil)
        #expect(await budget.take(1, until: later) { stop in stop() } == nil)
        let task = Task { await budget.take(1, until: later) }
        try await eventually("it waits") { budget.isCrowded }
        task.cancel()
        #expect(await task.value == nil)
        #expect(budget.used == 100 && !budget.isCrowded)
        withExtendedLifetime(held) {}
    }

    /// If a waiter leaves, the waiters after it need not wait for its share.
    @Test("A waiter that leaves lets the waiters behind it proceed")
    func whoLeavesMakesRoomForThoseBehind() async throws {
        let budget = ByteBudget(limit: 100)
        let held = budget.take(50)
        let large = Task { await budget.take(80, until: later) }
        try await eventually("it waits") { budget.waitingCount == 1 }
        async let small = budget.take(50, until: later)
        try await eventually("it waits behind it") { budget.waitingCount == 2 }
        large.cancel()
        #expect(await small?.bytes == 50)
        withExtendedLifetime(held) {}
    }
}
