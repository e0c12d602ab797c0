import SessionStore

/// A step of a session.
struct StepName: Hashable, Sendable {
    var session: SessionID
    var step: Int
}

extension StepName {
    /// Reads the notice that scripts send to the replica from which a step was taken: `SESSION
    /// STEP`.
    init?(message: String) {
        guard let space = message.lastIndex(of: " "), let session = SessionID(name: message[..<space]),
            let step = Int(message[message.index(after: space)...])
        else { return nil }
        self.init(session: session, step: step)
    }
}
