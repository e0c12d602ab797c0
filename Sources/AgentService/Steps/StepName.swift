import SessionStore

/// A step of a session.
struct StepName: Hashable, Sendable {
    var session: SessionID
    var step: Int
}

extension StepName {
    /// Reads what the scripts send to the replica that a step was taken from: `SESSION STEP`.
    init?(message: String) {
        guard let space = message.lastIndex(of: " "), let session = SessionID(message[..<space]),
            let step = Int(message[message.index(after: space)...])
        else { return nil }
        self.init(session: session, step: step)
    }
}
