/// A step that two replicas were lost with: perhaps it is what ended them.
package struct SuspectStep: Sendable, Equatable {
    /// What becomes of it.
    package enum Verdict: String, Sendable {
        case run, fail
    }

    /// A replica that fell silent while it held the step's lease.
    package struct Loss: Sendable, Equatable {
        /// Its process; nil of a build that does not say.
        package var instance: String?
        /// Whether it had asked the model.
        package var hadAsked: Bool

        package init(instance: String?, hadAsked: Bool) {
            self.instance = instance
            self.hadAsked = hadAsked
        }

        /// Reads `STEP INSTANCE ASKED`.
        init?(_ text: String) {
            let words = text.split(separator: " ")
            guard words.count == 3 else { return nil }
            instance = words[1] == "-" ? nil : String(words[1])
            hadAsked = words[2] == "1"
        }
    }

    package var step: Int
    /// How long ago its lease ran out.
    package var lapsed: Duration
    package var losses: [Loss]
}
