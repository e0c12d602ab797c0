/// The tool message of a call that a user's message closes before its result has come.
enum CancelledCall {
    /// The message up to the call's id, which is a JSON string.
    static let start = #"{"role":"tool","tool_call_id":"#
    static let end = #","content":"cancelled: the user went on before this tool call was answered"}"#
}
