/// What a follower learns when it polls a session.
package struct LogView: Sendable {
    package var status: SessionState.Status
    /// The session's latest step, 0 when there is no session.
    package var step: Int
    /// The nonce of the latest step's lease.
    package var nonce: String
    /// The user who has the session; empty if it has no owner.
    package var subject: String
    /// How long the latest step's replica may still be silent; zero once it counts as lost.
    package var leaseLeft: Duration
    /// The entry that opens the step that was asked for; nil if the log does not have it, or if
    /// none was asked for.
    package var opening: LogEntry?
    /// The entries after the position that was asked for, oldest first. They are never older than
    /// ``status``, ``step`` and ``nonce``.
    package var entries: [LogEntry]

    /// The view of a session that does not exist.
    package static var absent: LogView {
        LogView(status: .idle, step: 0, nonce: "", subject: "", leaseLeft: .zero, opening: nil, entries: [])
    }

    package var isRunning: Bool { status == .running }
    /// Whether a step runs whose replica has been silent for longer than its lease.
    package var isOrphaned: Bool { isRunning && leaseLeft <= .zero }
}
