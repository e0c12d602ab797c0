import JSONText
import NIOCore

/// Writes a chat completion request. Messages and tools are copied as the text that they are.
enum ChatCompletionRequest {
    /// Returns the request.
    ///
    /// - Parameter concessions: What the server is known to want otherwise.
    static func encode(
        _ request: LLMRequest, stream: Bool, form: RequestForm = RequestForm(), conceding concessions: Concessions = []
    ) -> EncodedRequest {
        var messages = request.messages
        let reasoning = form.reasoning.apply(request.reasoning, by: request.author, to: &messages)
        var body = ByteBufferAllocator().buffer(
            capacity: request.byteCount + messages.count * (1 + form.maximumAddition) + (request.tools?.readableBytes ?? 0)
                + request.model.utf8.count + form.parameters.json.readableBytes + 128)
        body.writeStaticString("{\"model\":")
        body.writeJSONString(request.model)
        body.writeStaticString(",\"messages\":[")
        let gaps = OutgoingMessages.write(
            messages, adding: reasoning, form: form, fillsGaps: concessions.contains(.strictTurns), into: &body)
        var edits: [EncodedRequest.Edit] = []
        if form.strictTurns == .auto {
            edits = gaps.map {
                EncodedRequest.Edit(concession: .strictTurns, range: $0..<$0, replacement: OutgoingMessages.gapFillerAndComma)
            }
        }
        body.writeStaticString(stream ? "],\"stream\":true" : "],\"stream\":false")
        if stream, !concessions.contains(.streamOptions) {
            let start = body.writerIndex
            body.writeStaticString(",\"stream_options\":{\"include_usage\":true}")
            if form.streamOptions == .auto {
                edits.append(
                    EncodedRequest.Edit(concession: .streamOptions, range: start..<body.writerIndex, replacement: ByteBuffer()))
            }
        }
        body.writeImmutableBuffer(form.parameters.json)
        if let tools = request.tools, !isEmptyArray(tools) {
            body.writeStaticString(",\"tools\":")
            body.writeImmutableBuffer(tools)
        }
        body.writeInteger(UInt8(ascii: "}"))
        return EncodedRequest(body, edits: edits)
    }

    /// OpenAI rejects an empty list of tools.
    private static func isEmptyArray(_ json: ByteBuffer) -> Bool {
        json.readableBytesView.allSatisfy { $0 <= 0x20 || $0 == UInt8(ascii: "[") || $0 == UInt8(ascii: "]") }
    }
}
