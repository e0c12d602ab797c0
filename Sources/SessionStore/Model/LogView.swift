/// What a follower learns from one look at a session.
public struct LogView: Sendable {
    public var status: SessionState.Status
    /// The session's latest step, 0 when there is no session.
    public var step: Int
    /// That of the latest step's lease.
    public var nonce: String
    /// How long the latest step's replica may be silent yet; zero once it counts as lost.
    public var leaseLeft: Duration
    /// The entry that opens the step that was asked for; nil where the log does not have it, or it was not asked for.
    public var opening: LogEntry?
    /// What the log holds after the place that was asked for, oldest first. Never older than ``status``, ``step`` and ``nonce``.
    public var entries: [LogEntry]

    public var isRunning: Bool { status == .running }
    /// Whether a step runs whose replica has been silent for longer than its lease.
    public var isOrphaned: Bool { isRunning && leaseLeft <= .zero }
}
