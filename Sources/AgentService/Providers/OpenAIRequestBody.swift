import JSONText
import NIOCore
import SessionStore

/// A chat completion request in one buffer. Messages and tools are copied as the text that they are.
struct OpenAIRequestBody: Sendable {
    private(set) var bytes: ByteBuffer
    /// Where `stream_options` stand, if they do.
    private var options: Range<Int>?
    /// Where a user's message follows a tool's.
    private var gaps: [Int] = []

    /// - Parameter concessions: What the server is known to want otherwise.
    init(_ request: LLMRequest, stream: Bool, form: RequestForm = RequestForm(), concessions: Concessions = []) {
        var messages = request.messages
        // First: it goes by the places that messages have in the history.
        form.reasoning.apply(request.reasoning, by: request.author, to: &messages)
        messages = OutgoingMessages.written(messages, form: form, strictTurns: concessions.contains(.strictTurns))
        let messageBytes = messages.reduce(0) { $0 + $1.readableBytes + 1 }
        var body = ByteBufferAllocator().buffer(
            capacity: messageBytes + (request.tools?.readableBytes ?? 0) + request.model.utf8.count
                + form.parameters.json.readableBytes + 128)
        body.writeStaticString("{\"model\":")
        body.writeJSONString(request.model)
        body.writeStaticString(",\"messages\":[")
        for (position, message) in messages.enumerated() {
            if position > 0 { body.writeInteger(UInt8(ascii: ",")) }
            if position > 0, OutgoingMessages.isGap(messages[position - 1], message) { gaps.append(body.writerIndex) }
            body.writeImmutableBuffer(message)
        }
        body.writeStaticString(stream ? "],\"stream\":true" : "],\"stream\":false")
        if stream, !concessions.contains(.streamOptions) {
            let start = body.writerIndex
            body.writeStaticString(",\"stream_options\":{\"include_usage\":true}")
            options = start..<body.writerIndex
        }
        body.writeImmutableBuffer(form.parameters.json)
        if let tools = request.tools, !Self.isEmptyArray(tools) {
            body.writeStaticString(",\"tools\":")
            body.writeImmutableBuffer(tools)
        }
        body.writeInteger(UInt8(ascii: "}"))
        bytes = body
    }

    /// What could be conceded.
    var concessions: Concessions {
        var concessions: Concessions = []
        if options != nil { concessions.insert(.streamOptions) }
        if !gaps.isEmpty { concessions.insert(.strictTurns) }
        return concessions
    }

    /// The same request with what its server asks for, and otherwise byte for byte. What follows the messages stays where it can be
    /// conceded later.
    func conceding(_ concessions: Concessions) -> OpenAIRequestBody {
        var body = self
        body.bytes = ByteBufferAllocator().buffer(
            capacity: bytes.readableBytes + gaps.count * (OutgoingMessages.unanswered.readableBytes + 1))
        var position = bytes.readerIndex
        func copy(upTo end: Int) {
            if let part = bytes.getSlice(at: position, length: end - position) { body.bytes.writeImmutableBuffer(part) }
            position = end
        }
        if concessions.contains(.strictTurns) {
            for gap in gaps {
                copy(upTo: gap)
                body.bytes.writeImmutableBuffer(OutgoingMessages.unanswered)
                body.bytes.writeStaticString(",")
            }
            body.gaps = []
        }
        if let options {
            copy(upTo: options.lowerBound)
            let start = body.bytes.writerIndex
            if concessions.contains(.streamOptions) { position = options.upperBound } else { copy(upTo: options.upperBound) }
            body.options = concessions.contains(.streamOptions) ? nil : start..<body.bytes.writerIndex
        }
        copy(upTo: bytes.writerIndex)
        return body
    }

    /// OpenAI rejects an empty list of tools.
    private static func isEmptyArray(_ json: ByteBuffer) -> Bool {
        json.readableBytesView.allSatisfy { $0 <= 0x20 || $0 == UInt8(ascii: "[") || $0 == UInt8(ascii: "]") }
    }
}
