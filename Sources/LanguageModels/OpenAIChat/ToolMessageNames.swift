import JSONText
import NIOCore

/// The names of the tools that a history's calls name, for tool messages: some servers know a
/// result by its tool's `name`.
struct ToolMessageNames {
    private var names: [String: String] = [:]

    /// Notes the calls of an assistant's message.
    mutating func note(_ completion: ByteBuffer) {
        guard let calls = (try? JSONSlice(parsing: completion))?["tool_calls"] else { return }
        for call in calls.elements {
            if let id = call["id"]?.string, let name = call["function"]?["name"]?.string { names[id] = name }
        }
    }

    /// Returns the name that a tool message lacks; nil for one that has a name, or that belongs to
    /// no call.
    func missingName(of result: ByteBuffer) -> String? {
        guard let result = try? JSONSlice(parsing: result), result["name"] == nil else { return nil }
        return result["tool_call_id"]?.string.flatMap { names[$0] }
    }
}
