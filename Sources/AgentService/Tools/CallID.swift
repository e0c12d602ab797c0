/// The ids of tool calls that every server takes, in requests and in the calls of earlier messages: 1–40 of `A-Z a-z 0-9 _ -`.
///
/// OpenAI refuses longer ones, Anthropic others' characters. What a model itself sends may have neither bound: Kimi writes
/// `functions.read_file:0`, LiteLLM puts hundreds of bytes of a thought signature into it.
enum CallID {
    /// Bytes of a model's own id that is kept, to be sent back to this model.
    static let maximumOriginalBytes = 8192
    static let maximumStoredBytes = 40

    static func isAccepted(_ id: String) -> Bool {
        (1...maximumStoredBytes).contains(id.utf8.count) && id.utf8.allSatisfy(ToolName.isAccepted)
    }
}
