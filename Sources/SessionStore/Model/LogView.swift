/// What a follower learns when it polls a session.
public struct LogView: Sendable {
    public var status: SessionState.Status
    /// The session's latest step, 0 when there is no session.
    public var step: Int
    /// The nonce of the latest step's lease.
    public var nonce: String
    /// How long the latest step's replica may still be silent; zero once it counts as lost.
    public var leaseLeft: Duration
    /// The entry that opens the step that was asked for; nil if the log does not have it, or if
    /// none was asked for.
    public var opening: LogEntry?
    /// The entries after the position that was asked for, oldest first. They are never older than
    /// ``status``, ``step`` and ``nonce``.
    public var entries: [LogEntry]

    public var isRunning: Bool { status == .running }
    /// Whether a step runs whose replica has been silent for longer than its lease.
    public var isOrphaned: Bool { isRunning && leaseLeft <= .zero }
}
