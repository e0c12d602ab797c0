/// Pauses before a server that has ended is started again. They grow while it ends soon each time:
/// nothing is to be gained from trying what fails at once, and each attempt writes to a log.
struct RestartPause: Sendable {
    static let longest = Duration.seconds(30)

    private var next = Duration.zero

    /// - Parameter lifetime: How long the server has lived that has ended.
    mutating func after(lifetime: Duration) -> Duration {
        if lifetime >= Self.longest { next = .zero }
        defer { next = min(max(next * 2, .milliseconds(500)), Self.longest) }
        return next
    }
}
