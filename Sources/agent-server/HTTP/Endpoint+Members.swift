extension Endpoint {
    /// The members of a request's body that the endpoint knows, with their path: `message.type`. A
    /// test holds them against `/openapi.json`.
    var members: Set<String> {
        switch self {
        case .messageStream: Self.messageMembers
        case .legacyMessage: ["role", "content", "session_id"]
        case .cancel: ["step"]
        case .rewind: ["history_length", "expected_length"]
        default: []
        }
    }

    private static let messageMembers: Set = [
        "session_id", "message", "tools", "model", "metadata", "on_conflict", "on_disconnect", "expected_length",
        "message.type", "message.role", "message.content", "message.call_id", "message.tool_name", "message.result",
        "message.error", "message.replace", "message.replace.content",
    ]
}
