/// A request for the next lease on a step that another replica runs; the argument of ``RedisSessionStore/takeOver(_:)``.
public struct TakeOver: Sendable {
    /// Why the lease is taken.
    public enum Reason: Sendable {
        /// Its replica is lost: only a lease that has run out or was released is taken.
        case lost
        /// Its replica is lost, but the lease that it left counts by a clock of Redis that was set back since, and would run out too late:
        /// it is taken all the same.
        case stale
        /// The step is to be ended: a living lease is taken, too, and whoever takes the step over later ends it as well.
        case cancel
    }

    /// The session.
    public var session: SessionID
    /// The step that is meant; refused when another one runs by now.
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

/// What became of a ``TakeOver``.
public enum TakeOverOutcome: Sendable {
    /// The lease is the caller's, who must do what the step's action says.
    case taken(TakenStep)
    /// Its replica still holds it.
    case alive(leaseLeft: Duration)
    /// That step does not run any more; `step` is the session's latest, 0 when there is no session.
    case gone(step: Int)
    /// Redis was away a moment ago: living replicas renew their leases first. Or two replicas were lost with the step, and its
    /// time has not come.
    case tooEarly
    /// Two replicas have been lost with it. Whether it runs once more needs a ``SuspectStep/Verdict``.
    case suspect(SuspectStep)
}

/// A step that was taken over, under a fence of its own.
public struct TakenStep: Sendable {
    /// What the new owner must do.
    public enum Action: Sendable, Equatable {
        /// It is run again, from the history.
        case run
        /// It is ended with the text that the log holds.
        case cancel
        /// It was begun as often as it may be: it ends with an error.
        case fail
    }

    /// The step, with its new lease.
    public var started: StartedStep
    /// What the new owner must do.
    public var action: Action
    /// The step whose place it takes.
    public var replaces: Int
    /// The replica that had it.
    public var previousOwner: String
    /// The steps whose place it took, the latest one last, each with the nonce of its event ids.
    public var replaced: [EventID]
}
