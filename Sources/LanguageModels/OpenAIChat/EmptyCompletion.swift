import JSONText
import NIOCore

/// An assistant's message that says nothing and calls nothing. Templates of many models refuse it,
/// and it has no meaning for a model.
enum EmptyCompletion {
    /// Returns whether `message`, whose role is `assistant`, is one.
    static func matches(_ message: ByteBuffer) -> Bool {
        // Almost all completions begin with a text that is not empty, or go on with calls.
        let text: StaticString = #"{"role":"assistant","content":""#
        if message.begins(with: text), !message.begins(with: "\"", at: text.utf8CodeUnitCount) { return false }
        if message.begins(with: #"{"role":"assistant","content":null,"tool_calls":[{"#) { return false }
        guard let completion = try? JSONSlice(parsing: message),
            (completion["tool_calls"]?.elements.contains { _ in true }) != true,
            completion["function_call"].map({ $0.isNull }) ?? true, completion["refusal"].map({ $0.isNull }) ?? true
        else { return false }
        guard let content = completion["content"] else { return true }
        return content.isNull || content.string == "" || content.kind == .array && !content.elements.contains { _ in true }
    }
}
