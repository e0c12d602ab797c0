/// The ids of tool calls that every model's server accepts: 1–40 of `A-Z a-z 0-9 _ -`.
///
/// OpenAI refuses longer ids, Anthropic other characters. The ids that models write keep neither
/// bound: Kimi writes `functions.read_file:0`, LiteLLM puts hundreds of bytes of a thought
/// signature into an id.
enum CallID {
    /// The greatest size of a model's own id that is kept, to be sent back to this model.
    static let maximumOriginalBytes = 8192
    static let maximumStoredBytes = 40

    static func isAccepted(_ id: String) -> Bool {
        (1...maximumStoredBytes).contains(id.utf8.count) && id.utf8.allSatisfy(ToolName.isAccepted)
    }
}
