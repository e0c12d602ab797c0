public import NIOCore

/// What a model said beside one completion and may want back with the next request, in the members
/// in which it said it.
///
/// DeepSeek and Kimi refuse a request whose earlier completions lack their `reasoning_content`.
/// Gemini refuses one whose calls lack their `extra_content` (their API references; OpenRouter,
/// "Preserving reasoning blocks").
public struct ReasoningTrace: Sendable, Equatable {
    /// A member of a JSON object.
    public struct Member: Sendable, Equatable {
        /// As it is, without quotation marks or escapes.
        public var name: String
        /// Valid JSON, as the model sent it.
        public var json: ByteBuffer

        /// Makes a member. The parameters are the properties of the same names.
        public init(name: String, json: ByteBuffer) {
            self.name = name
            self.json = json
        }
    }

    /// Members of the message, such as `reasoning_content`, `reasoning` and `reasoning_details` of
    /// chat completions.
    public var fields: [Member]
    /// Members of its tool calls that this project does not know, by the index in
    /// ``LLMEvent/toolCall(index:id:name:arguments:)``.
    public var calls: [Int: [Member]]

    /// Makes a trace. The parameters are the properties of the same names.
    public init(fields: [Member] = [], calls: [Int: [Member]] = [:]) {
        self.fields = fields
        self.calls = calls
    }
}
