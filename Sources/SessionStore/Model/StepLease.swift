/// The lease on one session's running step, as its holder knows it.
public struct StepLease: Sendable {
    public let session: SessionID
    public let token: LeaseToken
    /// The fence: the number of the step, ≥ 1.
    public let step: Int

    public init(session: SessionID, token: LeaseToken, step: Int) {
        self.session = session
        self.token = token
        self.step = step
    }
}
