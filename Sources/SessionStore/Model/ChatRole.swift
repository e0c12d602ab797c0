import JSONText
package import NIOCore

/// The role of a chat message.
package enum ChatRole: String, Sendable {
    case system, user, assistant, tool

    /// How a stored message of this role begins. Messages that a person has written may begin
    /// otherwise.
    var messageStart: String {
        switch self {
        case .system: #"{"role":"system""#
        case .user: #"{"role":"user""#
        case .assistant: #"{"role":"assistant""#
        case .tool: #"{"role":"tool""#
        }
    }

    /// Reads the role of a stored message; nil if it is not a chat message.
    package init?(of message: ByteBuffer) {
        for role in [ChatRole.tool, .assistant, .user, .system] {
            if message.readableBytesView.starts(with: role.messageStart.utf8) {
                self = role
                return
            }
        }
        guard let role = (try? JSONSlice(parsing: message))?["role"]?.string.flatMap(ChatRole.init(rawValue:)) else { return nil }
        self = role
    }
}
