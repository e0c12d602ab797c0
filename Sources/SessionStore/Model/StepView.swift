/// What a look at a session says of its latest step.
public struct StepView: Sendable {
    public var status: SessionState.Status
    /// The latest step, 0 when there is no session.
    public var step: Int
    /// Milliseconds since 1970 on Redis's clock, 0 once the lease was released; and that clock just before.
    public var leaseUntil: Int64
    public var now: Int64
    /// The step is being ended by whoever seized it.
    public var isBeingCancelled: Bool
    /// The step whose place the latest one took; 0 where it began by itself.
    public var replaces: Int
    /// The step that began by itself, whose place it took through all those between; ``step`` where it began by itself.
    public var origin: Int

    public var isRunning: Bool { status == .running }
    /// Whether a step is the latest one, or one whose place it took.
    public func answers(for step: Int) -> Bool { step == self.step || origin <= step && step < self.step }
    /// Whether it runs and may be taken over.
    public var isOrphaned: Bool { isRunning && leaseUntil <= now }
    /// Whether its replica has given it up.
    public var isReleased: Bool { isRunning && leaseUntil == 0 }
    public var leaseLeft: Duration { .milliseconds(max(0, leaseUntil - now)) }
}
