public import SessionStore

/// A message for a session, as a front end has read and checked it.
public struct TurnRequest: Sendable {
    /// What happens to the message while a step of the session runs.
    public enum OnConflict: String, Sendable {
        /// The message is refused.
        case reject
        /// The message is accepted when the step has ended.
        case wait
        /// The step is cancelled, and then the message is accepted.
        case interrupt
    }

    public var session: SessionID
    public var input: BeginStep.Input
    public var settings: TurnSettings
    public var onConflict: OnConflict
    /// The history's length as the client knows it; the message is refused if it differs.
    public var expectedLength: Int?
    public var idempotency: BeginStep.Idempotency?
    /// The last event that the client has, if it sends the request again.
    public var lastEventID: EventID?
    /// W3C trace context, passed on to the model.
    public var traceparent: String?
    /// The request's name in logs.
    public var requestID: String?

    public init(
        session: SessionID, input: BeginStep.Input, settings: TurnSettings = TurnSettings(), onConflict: OnConflict = .reject
    ) {
        self.session = session
        self.input = input
        self.settings = settings
        self.onConflict = onConflict
    }
}
