/// What a scripted model says. A ``Personality`` turns it into the bytes that its server would send.
public struct ScriptedCompletion: Sendable {
    public struct Call: Sendable, Hashable {
        public var name: String
        /// The text of a JSON object.
        public var arguments: String

        public init(_ name: String, _ arguments: String) {
            (self.name, self.arguments) = (name, arguments)
        }
    }

    /// The text, in the pieces in which the model streams it.
    public var text: [String]
    public var calls: [Call]
    /// The time after each piece of text.
    public var pace: Duration?
    /// The time between the calls and the end of the stream.
    public var pauseAfterCalls: Duration?

    public init(text: [String] = [], calls: [Call] = []) {
        (self.text, self.calls) = (text, calls)
    }

    var finishReason: String { calls.isEmpty ? "stop" : "tool_calls" }
}
