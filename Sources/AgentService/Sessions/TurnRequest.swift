import JSONText
import LanguageModels
import NIOCore
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

    /// The session. Its first message creates it.
    public var session: SessionID
    /// The message, or what to do without one.
    public var input: BeginStep.Input
    /// Who sends the message. The session's creator owns it.
    public var requester: Requester
    /// Whose usage the step counts for, at most two.
    public var accounts: [Account] = []
    /// How long after its creation the session ends; nil for the store's setting.
    public var maximumAge: Duration?
    /// The client's settings for the turn.
    public var settings: TurnSettings
    /// What happens to the message while a step of the session runs.
    public var onConflict: OnConflict
    /// The history's length as the client knows it; the message is refused if it differs.
    public var expectedLength: Int?
    /// Recognizes the request when it is sent again; nil to accept it each time.
    public var idempotency: BeginStep.Idempotency?
    /// The last event that the client has, if it sends the request again.
    public var lastEventID: EventID?
    /// W3C trace context, passed on to the model.
    public var traceparent: String?
    /// The request's name in logs.
    public var requestID: String?
    /// Called when Redis has created the session for this message.
    public var whenCreated: (@Sendable () -> Void)?

    /// - Parameters:
    ///   - session: The session. Its first message creates it.
    ///   - input: The message, or what to do without one.
    ///   - requester: Who sends the message.
    ///   - settings: The client's settings for the turn.
    ///   - onConflict: What happens to the message while a step of the session runs.
    public init(
        session: SessionID, input: BeginStep.Input, as requester: Requester, settings: TurnSettings = TurnSettings(),
        onConflict: OnConflict = .reject
    ) {
        self.session = session
        self.input = input
        self.requester = requester
        self.settings = settings
        self.onConflict = onConflict
    }

    /// Makes a request with a user's message.
    ///
    /// - Parameters:
    ///   - session: The session. Its first message creates it.
    ///   - text: The message.
    ///   - requester: Who sends the message.
    public init(session: SessionID, text: String, as requester: Requester) {
        var content = ByteBuffer()
        content.writeJSONString(text)
        self.init(session: session, input: .user(ChatMessage.user(content: content)), as: requester)
    }
}
