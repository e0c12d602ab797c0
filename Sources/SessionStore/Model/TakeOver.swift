/// A request for the next lease on a step that another replica runs; the argument of
/// ``RedisSessionStore/takeOver(_:as:)``.
public struct TakeOver: Sendable {
    /// Why the lease is taken.
    public enum Reason: Sendable {
        /// Its replica is lost: only a lease that has run out or was released is taken.
        case lost
        /// Its replica is lost, but its lease would run out too late, since Redis's clock was set
        /// back: the lease is taken all the same.
        case stale
        /// The step is to end: a lease that has not run out is taken, too, and a replica that takes
        /// the step over later ends it as well.
        case cancel
    }

    /// The session.
    public var session: SessionID
    /// The step that is meant. If another one runs by now, the request is refused.
    public var step: Int
    /// Why the lease is taken.
    public var reason: Reason
    /// The token of the new lease.
    public var token: LeaseToken

    /// Makes a request. The parameters are the properties of the same names.
    public init(session: SessionID, step: Int, reason: Reason, token: LeaseToken = LeaseToken()) {
        self.session = session
        self.step = step
        self.reason = reason
        self.token = token
    }
}

/// The outcome of a ``TakeOver``.
public enum TakeOverOutcome: Sendable {
    /// The caller holds the lease, and must do what the step's action says.
    case taken(TakenStep)
    /// Its replica still holds it.
    case alive(leaseLeft: Duration)
    /// That step no longer runs; `step` is the session's latest, 0 if the session does not exist.
    case gone(step: Int)
    /// Redis was away a moment ago, so living replicas renew their leases first; or two replicas
    /// were lost with the step, and its time has not come; or other steps have all slots of an
    /// account.
    case tooEarly
    /// Two replicas were lost with it. Whether it runs once more needs a ``SuspectStep/Verdict``.
    case suspect(SuspectStep)
}

/// A step that was taken over, under a fence of its own.
public struct TakenStep: Sendable {
    /// What the new owner must do.
    public enum Action: Sendable, Equatable {
        /// The step runs again, from the history.
        case run
        /// The step ends with the text that the log holds.
        case cancel
        /// The step has begun as often as it may: it ends with an error.
        case fail
    }

    /// The step, with its new lease.
    public var started: StartedStep
    /// What the new owner must do.
    public var action: Action
    /// The step that it replaces.
    public var replaces: Int
    /// The replica that ran it before.
    public var previousOwner: String
    /// The steps that it replaces, the latest one last, each with the nonce of its event ids.
    public var replaced: [EventID]
}
