/// What a session's state says of its latest step.
public struct StepView: Sendable {
    public var status: SessionState.Status
    /// The latest step; 0 if the session does not exist.
    public var step: Int
    /// Milliseconds since 1970 on Redis's clock, 0 once the lease was released; and that clock just
    /// before.
    public var leaseUntil: Int64
    public var now: Int64
    /// Whether the replica that preempted the step is ending it.
    public var isBeingCancelled: Bool
    /// The step that the latest one replaces; 0 if it began on its own.
    public var replaces: Int
    /// The step that began on its own, and that the latest one replaces through all those between;
    /// ``step`` if it began on its own.
    public var origin: Int

    public var isRunning: Bool { status == .running }
    /// Returns whether a step is the latest one, or one that the latest replaces.
    public func answers(for step: Int) -> Bool { step == self.step || origin <= step && step < self.step }
    /// Whether it runs and may be taken over.
    public var isOrphaned: Bool { isRunning && leaseUntil <= now }
    /// Whether its replica has released it.
    public var isReleased: Bool { isRunning && leaseUntil == 0 }
    public var leaseLeft: Duration { .milliseconds(max(0, leaseUntil - now)) }
}
