/// The lease on one session's running step, as its holder knows it.
public struct StepLease: Sendable {
    /// The session.
    public let session: SessionID
    /// The token, which each write presents.
    public let token: LeaseToken
    /// The fence: the number of the step, ≥ 1.
    public let step: Int
    /// The user who has the session, as its state has it; empty for a session without an owner.
    package let subject: String
    /// The session's greatest age in milliseconds, as the step's message brought it; 0 for none.
    package var maximumAge: Int64 = 0
    /// The accounts that the step counts for, and its slots there; nil for none.
    package var slot: StepSlot?

    /// Makes a lease. The parameters are the properties of the same names.
    public init(session: SessionID, token: LeaseToken, step: Int) {
        self.init(session: session, token: token, step: step, subject: "")
    }

    /// Reaches the session as long as it has the owner that it had when the lease was taken.
    package var requester: Requester { Subject(subject).map { .subject($0) } ?? .tenant }

    package init(session: SessionID, token: LeaseToken, step: Int, subject: String) {
        self.session = session
        self.token = token
        self.step = step
        self.subject = subject
    }
}
