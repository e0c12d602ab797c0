/// What a follower learns from one look at a session.
package struct LogView: Sendable {
    package var status: SessionState.Status
    /// The session's latest step, 0 when there is no session.
    package var step: Int
    /// That of the latest step's lease.
    package var nonce: String
    /// How long the latest step's replica may be silent yet; zero once it counts as lost.
    package var leaseLeft: Duration
    /// The entry that opens the step that was asked for; nil where the log does not have it, or it was not asked for.
    package var opening: LogEntry?
    /// What the log holds after the place that was asked for, oldest first. Never older than ``status``, ``step`` and ``nonce``.
    package var entries: [LogEntry]

    package var isRunning: Bool { status == .running }
    /// Whether a step runs whose replica has been silent for longer than its lease.
    package var isOrphaned: Bool { isRunning && leaseLeft <= .zero }
}
