import NIOCore
import SessionStore

/// Writes a chat completion request into one buffer. Messages and tools are copied as the text that they are.
enum OpenAIRequestBody {
    static func encode(_ request: LLMRequest, stream: Bool, reasoning: ReasoningReplay = ReasoningReplay()) -> ByteBuffer {
        var messages = request.messages
        // First: it goes by the places that messages have in the history.
        reasoning.apply(request.reasoning, by: request.author, to: &messages)
        if UserMessageJoiner.isNeeded(messages) { messages = UserMessageJoiner.joined(messages) }
        let messageBytes = messages.reduce(0) { $0 + $1.readableBytes + 1 }
        var body = ByteBufferAllocator().buffer(
            capacity: messageBytes + (request.tools?.readableBytes ?? 0) + request.model.utf8.count + 128)
        body.writeStaticString("{\"model\":")
        body.writeJSONString(request.model)
        body.writeStaticString(",\"messages\":[")
        for (position, message) in messages.enumerated() {
            if position > 0 { body.writeInteger(UInt8(ascii: ",")) }
            body.writeImmutableBuffer(message)
        }
        body.writeStaticString(stream ? "],\"stream\":true,\"stream_options\":{\"include_usage\":true}" : "],\"stream\":false")
        if let tools = request.tools, !isEmptyArray(tools) {
            body.writeStaticString(",\"tools\":")
            body.writeImmutableBuffer(tools)
        }
        body.writeInteger(UInt8(ascii: "}"))
        return body
    }

    /// OpenAI rejects an empty list of tools.
    private static func isEmptyArray(_ json: ByteBuffer) -> Bool {
        json.readableBytesView.allSatisfy { $0 <= 0x20 || $0 == UInt8(ascii: "[") || $0 == UInt8(ascii: "]") }
    }
}
