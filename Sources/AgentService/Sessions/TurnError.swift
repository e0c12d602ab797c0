public import SessionStore

/// Why a message was not accepted.
public enum TurnError: Error, Sendable {
    /// The session does not accept the message.
    case refused(BeginRefusal)
    /// An account of the request is at one of its limits.
    case limited(LimitRefusal)
    /// A step of the session runs.
    case busy(step: Int, retryAfter: Duration)
    /// Redis has failed.
    case store(StoreError)
    /// The server is about to stop.
    case draining
    /// As many steps run as this replica may run.
    case overloaded
    /// As many bytes are held as this replica may hold, and there was no room in time.
    case crowded
    /// There is nothing to cancel.
    case notRunning
    /// The session does not exist.
    case noSession
    /// A defect: the request was left without a result. It may have been accepted.
    case lostResult

    init(_ refusal: StepScheduler.Refusal) {
        self =
            switch refusal {
            case .draining: .draining
            case .overloaded: .overloaded
            }
    }
}
