/// The outcome of a rewind.
public enum RewindOutcome: Sendable, Equatable {
    /// The history has this length now, also if it had it before. `step` is the session's latest.
    case rewound(historyLength: Int, step: Int)
    /// A step runs.
    case busy(step: Int)
    /// The history is shorter.
    case tooLong(historyLength: Int)
    /// The first message that would go is a tool's: its call would stay without it.
    case splitsCalls
    /// `expected_length` was another one.
    case historyMismatch(length: Int)
    /// The session does not exist.
    case noSession
}
