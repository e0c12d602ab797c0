/// A step that two replicas were lost with: it may be the cause.
public struct SuspectStep: Sendable, Equatable {
    /// How the step goes on.
    public enum Verdict: String, Sendable {
        case run, fail
    }

    /// A replica that fell silent while it held the step's lease.
    public struct Loss: Sendable, Equatable {
        /// Its process; nil if its build does not record it.
        public var instance: String?
        /// Whether it had asked the model.
        public var hadAsked: Bool

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

    public var step: Int
    /// How long ago its lease ran out.
    public var lapsed: Duration
    public var losses: [Loss]
}
