import JSONText
public import NIOCore

/// The role of a chat message.
public enum ChatRole: String, Sendable {
    case system, user, assistant, tool

    /// Reads the role of a stored message; nil for what is not one.
    public init?(of message: ByteBuffer) {
        // Messages that this server wrote begin with their role. Others may have been put there by hand.
        for role in [ChatRole.tool, .assistant, .user, .system] {
            if message.readableBytesView.starts(with: #"{"role":"\#(role.rawValue)""#.utf8) {
                self = role
                return
            }
        }
        guard let role = (try? JSONSlice(parsing: message))?["role"]?.string.flatMap(ChatRole.init(rawValue:)) else { return nil }
        self = role
    }
}
