import NIOCore

/// An answer to a chat completion request as it arrives: decides what its bytes mean. Knows no sockets, tasks or clocks.
struct ChatCompletionDecoder: Sendable {
    /// What is still to come.
    enum Progress: Sendable, Equatable {
        case more
        /// The model has finished; only `usage` and the end of the stream are missing.
        case trailers
        /// ``LLMEvent/finish(_:)`` has been appended.
        case finished
    }

    private enum Form {
        case unknown
        case stream(SSEParser)
        case whole(ByteBuffer)
        case error(status: Int, ByteBuffer)
        case finished
    }

    private let expectsStream: Bool
    private let maxBytes: Int
    private let maxErrorBytes: Int
    private var form = Form.unknown
    private var receivedBytes = 0
    private var decoder: ChatCompletionChunkDecoder

    /// - Parameters:
    ///   - expectsStream: How to read an answer whose content type does not tell.
    ///   - showsReasoning: Whether the model's reasoning is to be shown as it comes.
    ///   - maxBytes: The bound on the body.
    ///   - maxErrorBytes: How much of an error's body is read.
    init(expectsStream: Bool, showsReasoning: Bool = false, maxBytes: Int, maxErrorBytes: Int) {
        self.expectsStream = expectsStream
        self.maxBytes = maxBytes
        self.maxErrorBytes = maxErrorBytes
        decoder = ChatCompletionChunkDecoder(showsReasoning: showsReasoning)
    }

    mutating func receiveHead(status: Int, contentType: String?) throws(LLMError) {
        guard 200..<300 ~= status else {
            form = .error(status: status, ByteBuffer())
            return
        }
        let type = contentType?.prefix { $0 != ";" }.lowercased().filter { $0 != " " } ?? ""
        switch type {
        case "text/event-stream": form = .stream(SSEParser(maxEventBytes: maxBytes))
        case "text/html": throw LLMError(.invalidResponse, "The model's server answered with a web page.", status: status)
        case _ where type.hasSuffix("json") || !expectsStream: form = .whole(ByteBuffer())
        default: form = .stream(SSEParser(maxEventBytes: maxBytes))
        }
    }

    /// Takes a part of the body. When it throws, `events` holds what came before the error.
    mutating func receiveBody(_ part: ByteBuffer, into events: inout [LLMEvent]) throws(LLMError) -> Progress {
        receivedBytes += part.readableBytes
        switch form {
        case .unknown:
            throw LLMError(.invalidResponse, "The model's server sent a body without a head.")
        case .stream(var parser):
            guard receivedBytes <= maxBytes else { throw tooLarge }
            // Taken out of the enum, so that its buffer is not copied.
            form = .unknown
            parser.append(part)
            let isDone = try readEvents(&parser, into: &events)
            form = isDone ? .finished : .stream(parser)
            if isDone { return .finished }
            return decoder.hasFinishReason ? .trailers : .more
        case .whole(var body):
            guard receivedBytes <= maxBytes else { throw tooLarge }
            form = .unknown
            body.writeImmutableBuffer(part)
            form = .whole(body)
            return .more
        case .error(let status, var body):
            form = .unknown
            let length = min(part.readableBytes, maxErrorBytes - body.readableBytes)
            body.writeImmutableBuffer(part.getSlice(at: part.readerIndex, length: length) ?? ByteBuffer())
            form = .error(status: status, body)
            guard receivedBytes < maxErrorBytes else { throw ErrorBody.httpError(status: status, body: body) }
            return .more
        case .finished:
            return .finished
        }
    }

    /// The body has ended.
    mutating func receiveEnd(into events: inout [LLMEvent]) throws(LLMError) {
        switch form {
        case .unknown: throw LLMError(.invalidResponse, "The model's server sent no answer.")
        case .stream: try decoder.finish(isMarked: false, into: &events)
        case .whole(let body):
            try decoder.decode(body, into: &events)
            try decoder.finish(isMarked: true, into: &events)
        case .error(let status, let body): throw ErrorBody.httpError(status: status, body: body)
        case .finished: break
        }
        form = .finished
    }

    /// The connection is lost, or nothing comes any more. True if the answer was complete nevertheless, with its
    /// ``LLMEvent/finish(_:)`` appended.
    mutating func receiveLoss(into events: inout [LLMEvent]) -> Bool {
        guard case .stream = form, decoder.hasFinishReason else {
            if case .finished = form { return true }
            return false
        }
        form = .finished
        do {
            try decoder.finish(isMarked: false, into: &events)
            return true
        } catch {
            return false
        }
    }

    private mutating func readEvents(_ parser: inout SSEParser, into events: inout [LLMEvent]) throws(LLMError) -> Bool {
        while true {
            let event: SSEEvent?
            do {
                event = try parser.next()
            } catch {
                throw tooLarge
            }
            guard let event else { return false }
            if event.data.readableBytes == 0 { continue }
            if event.data.readableBytesView.elementsEqual("[DONE]".utf8) {
                try decoder.finish(isMarked: true, into: &events)
                return true
            }
            try decoder.decode(event.data, into: &events)
            if event.name == "error" { throw ErrorBody.streamError(event.data) }
        }
    }

    private var tooLarge: LLMError { LLMError(.invalidResponse, "The model's answer is larger than \(maxBytes) bytes.") }
}
