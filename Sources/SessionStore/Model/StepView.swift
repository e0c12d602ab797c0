/// What a session's state says of its latest step.
package struct StepView: Sendable {
    package var status: SessionState.Status
    /// The latest step; 0 if the session does not exist.
    package var step: Int
    /// Milliseconds since 1970 on Redis's clock, 0 once the lease was released; and that clock just
    /// before.
    package var leaseUntil: Int64
    package var now: Int64
    /// Whether the replica that preempted the step is ending it.
    package var isBeingCancelled: Bool
    /// The step that the latest one replaces; 0 if it began on its own.
    package var replaces: Int
    /// The step that began on its own, and that the latest one replaces through all those between;
    /// ``step`` if it began on its own.
    package var origin: Int
    /// The user who has the session; empty if it has no owner.
    package var subject: String
    /// When the session was last written, in milliseconds since 1970 on Redis's clock.
    package var updatedAt: Int64

    /// The view of a session that does not exist.
    static func absent(now: Int64) -> StepView {
        StepView(
            status: .idle, step: 0, leaseUntil: 0, now: now, isBeingCancelled: false, replaces: 0, origin: 0, subject: "", updatedAt: 0)
    }

    package var isRunning: Bool { status == .running }
    /// Returns whether a step is the latest one, or one that the latest replaces.
    package func answers(for step: Int) -> Bool { step == self.step || origin <= step && step < self.step }
    /// Whether it runs and may be taken over.
    package var isOrphaned: Bool { isRunning && leaseUntil <= now }
    /// Whether its replica has released it.
    package var isReleased: Bool { isRunning && leaseUntil == 0 }
    package var leaseLeft: Duration { .milliseconds(max(0, leaseUntil - now)) }
}
