import JSONText
import NIOCore
import SessionStore

/// Writes the tool's `name` into tool messages, taken from the calls that they answer: some servers know a result by it.
enum ToolMessageNames {
    static func add(to messages: inout [ByteBuffer]) {
        var names: [String: String] = [:]
        for index in messages.indices {
            if ChatMessage.hasRole("assistant", messages[index]) {
                note(messages[index], in: &names)
            } else if let named = named(messages[index], names) {
                messages[index] = named
            }
        }
    }

    private static func note(_ answer: ByteBuffer, in names: inout [String: String]) {
        guard let calls = (try? JSONSlice(parsing: answer))?["tool_calls"] else { return }
        for call in calls.elements {
            if let id = call["id"]?.string, let name = call["function"]?["name"]?.string { names[id] = name }
        }
    }

    /// The message with a name behind its role; nil for one that is no result, has a name, or answers no call.
    private static func named(_ message: ByteBuffer, _ names: [String: String]) -> ByteBuffer? {
        let role = #"{"role":"tool""#
        guard ChatMessage.hasRole("tool", message), let result = try? JSONSlice(parsing: message), result["name"] == nil,
            let name = result["tool_call_id"]?.string.flatMap({ names[$0] })
        else { return nil }
        var named = ByteBuffer()
        named.reserveCapacity(message.readableBytes + name.utf8.count + 16)
        named.writeString(role)
        named.writeStaticString(#","name":"#)
        named.writeJSONString(name)
        named.writeImmutableBuffer(
            message.getSlice(at: message.readerIndex + role.utf8.count, length: message.readableBytes - role.utf8.count) ?? ByteBuffer())
        return named
    }
}
