/// The pause before a server that has ended is started again. It grows while the server keeps
/// ending soon: retrying a permanent failure gains nothing, and each attempt writes to a log.
struct RestartPause: Sendable {
    static let longest = Duration.seconds(30)

    private var next = Duration.zero

    /// Returns the next pause.
    ///
    /// - Parameter lifetime: How long the server lived.
    mutating func after(lifetime: Duration) -> Duration {
        if lifetime >= Self.longest { next = .zero }
        defer { next = min(max(next * 2, .milliseconds(500)), Self.longest) }
        return next
    }
}
