/// What a look at a session says of its latest step.
package struct StepView: Sendable {
    package var status: SessionState.Status
    /// The latest step, 0 when there is no session.
    package var step: Int
    /// Milliseconds since 1970 on Redis's clock, 0 once the lease was released; and that clock just before.
    package var leaseUntil: Int64
    package var now: Int64
    /// The step is being ended by whoever seized it.
    package var isBeingCancelled: Bool
    /// The step whose place the latest one took; 0 where it began by itself.
    package var replaces: Int
    /// The step that began by itself, whose place it took through all those between; ``step`` where it began by itself.
    package var origin: Int

    package var isRunning: Bool { status == .running }
    /// Whether a step is the latest one, or one whose place it took.
    package func answers(for step: Int) -> Bool { step == self.step || origin <= step && step < self.step }
    /// Whether it runs and may be taken over.
    package var isOrphaned: Bool { isRunning && leaseUntil <= now }
    /// Whether its replica has given it up.
    package var isReleased: Bool { isRunning && leaseUntil == 0 }
    package var leaseLeft: Duration { .milliseconds(max(0, leaseUntil - now)) }
}
