public import NIOCore

/// What a client asked for beside its message. The session's state keeps it for the whole turn, so
/// that the steps after a tool result, and a replica that takes a step over, run with the same
/// settings.
public struct TurnSettings: Sendable, Equatable {
    /// What happens to a step whose client leaves.
    public enum OnDisconnect: String, Sendable {
        /// The step goes on.
        case `continue`
        /// The step is cancelled.
        case cancel
    }

    /// The model's name; nil for the server's default.
    public var model: String?
    /// OpenAI tool schemas, a JSON array; nil for the server's registry.
    public var tools: ByteBuffer?
    /// A JSON object that `done` repeats.
    public var metadata: ByteBuffer?
    /// What happens when the client leaves; nil for the server's default.
    public var onDisconnect: OnDisconnect?

    /// Makes settings. The parameters are the properties of the same names.
    public init(
        model: String? = nil, tools: ByteBuffer? = nil, metadata: ByteBuffer? = nil, onDisconnect: OnDisconnect? = nil
    ) {
        self.model = model
        self.tools = tools
        self.metadata = metadata
        self.onDisconnect = onDisconnect
    }
}
