import JSONText
import NIOCore

/// The parts of a request that the scripted model reads.
struct ScriptedConversation {
    /// The text of the last user message.
    var question = ""
    /// The results that follow the last assistant message, with the names of the tools if they are
    /// known.
    var results: [(tool: String, text: String)] = []
    /// The names of the tools that the request offers.
    var tools: Set<String> = []
    /// Words in all messages.
    var wordCount = 0

    init(messages: [ByteBuffer], tools: ByteBuffer?) throws(LLMError) {
        var toolNames: [String: String] = [:]
        for raw in messages {
            guard let message = try? JSONSlice(parsing: raw), message.kind == .object else {
                throw LLMError(.rejected, "A message is no JSON object.", status: 400)
            }
            let text = Self.text(of: message["content"])
            wordCount += text.split(whereSeparator: \.isWhitespace).count
            switch message["role"]?.string {
            case "user":
                question = text
                results = []
            case "assistant":
                results = []
                for call in message["tool_calls"].map({ Array($0.elements) }) ?? [] {
                    if let id = call["id"]?.string { toolNames[id] = call["function"]?["name"]?.string }
                }
            case "tool":
                results.append((message["tool_call_id"]?.string.flatMap { toolNames[$0] } ?? "the tool", text))
            default: break
            }
        }
        guard let tools, let list = try? JSONSlice(parsing: tools) else { return }
        self.tools = Set(list.elements.compactMap { $0["function"]?["name"]?.string })
    }

    /// Returns a string, or the text of content parts.
    private static func text(of content: JSONSlice?) -> String {
        guard let content else { return "" }
        return content.string ?? content.elements.compactMap { $0["text"]?.string }.joined(separator: "\n")
    }
}
