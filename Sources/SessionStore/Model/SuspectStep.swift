/// A step that two replicas were lost with: it may be the cause.
public struct SuspectStep: Sendable, Equatable {
    /// How the step goes on.
    public enum Verdict: String, Sendable {
        /// The step runs once more, or ends with an error.
        case run, fail
    }

    /// A replica that fell silent while it held the step's lease.
    public struct Loss: Sendable, Equatable {
        /// Its process; nil if its build does not record it.
        public var instance: String?
        /// Whether it had asked the model.
        public var hadAsked: Bool

        /// - Parameters:
        ///   - instance: The replica's process.
        ///   - hadAsked: Whether the replica had asked the model.
        public init(instance: String?, hadAsked: Bool) {
            self.instance = instance
            self.hadAsked = hadAsked
        }

        /// Parses `STEP INSTANCE ASKED`.
        init?(_ text: String) {
            let words = text.split(separator: " ")
            guard words.count == 3 else { return nil }
            instance = words[1] == "-" ? nil : String(words[1])
            hadAsked = words[2] == "1"
        }
    }

    /// The step.
    public var step: Int
    /// How long ago its lease ran out.
    public var lapsed: Duration
    /// The replicas that fell silent with it, the latest one last.
    public var losses: [Loss]
}
