/// A completion that a scripted model returns. A ``Personality`` encodes it as its server would.
public struct ScriptedCompletion: Sendable {
    public struct Call: Sendable, Hashable {
        public var name: String
        /// The text of a JSON object.
        public var arguments: String

        public init(_ name: String, _ arguments: String) {
            (self.name, self.arguments) = (name, arguments)
        }
    }

    /// The text, split into the deltas in which the model streams it.
    public var text: [String]
    public var calls: [Call]
    /// How long the model waits after each text delta; nil for not at all.
    public var pace: Duration?
    /// How long the model waits between the calls and the end of the stream; nil for not at all.
    public var pauseAfterCalls: Duration?

    public init(text: [String] = [], calls: [Call] = []) {
        (self.text, self.calls) = (text, calls)
    }

    var finishReason: String { calls.isEmpty ? "stop" : "tool_calls" }
}
