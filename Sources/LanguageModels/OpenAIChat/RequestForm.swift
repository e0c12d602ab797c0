/// How requests differ from OpenAI's own, for servers and models that want it otherwise.
public struct RequestForm: Sendable, Equatable {
    /// Whether requests have what some servers refuse, or want.
    public enum Choice: String, Sendable, CaseIterable {
        /// As OpenAI has it, until the server has refused that once.
        case auto
        /// Requests have it.
        case yes = "true"
        /// Requests do not have it.
        case no = "false"
    }

    /// The role of the system prompt, as it is sent. The history keeps `system`.
    public enum SystemRole: String, Sendable, CaseIterable {
        /// The role as it stands in the request.
        case system, developer
    }

    /// Further members of each request.
    public var parameters = RequestParameters()
    /// Whether a streamed request asks for usage with `stream_options`.
    public var streamOptions = Choice.auto
    /// The role of the system prompt.
    public var systemRole = SystemRole.system
    /// Which of a model's reasoning goes back to it.
    public var reasoning = ReasoningReplay()
    /// Whether tool messages carry the `name` of the tool.
    public var toolNames = false
    /// Whether an assistant's message is put between a tool's and a user's, for templates that
    /// refuse these beside each other.
    public var strictTurns = Choice.auto

    /// The form of OpenAI's own requests.
    public init() {}

    /// An estimate of the bytes that the form adds to one message.
    var maximumAddition: Int { (reasoning.isRequired ? 24 : 0) + (toolNames ? 80 : 0) }

    /// What is conceded beforehand.
    var concessions: Concessions {
        var concessions: Concessions = []
        if streamOptions == .no { concessions.insert(.streamOptions) }
        if strictTurns == .yes { concessions.insert(.strictTurns) }
        return concessions
    }
}
