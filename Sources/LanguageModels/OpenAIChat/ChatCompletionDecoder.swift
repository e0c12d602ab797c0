import JSONText
public import NIOCore

/// Decodes the response to a chat completion request, whether it is a stream of events, one JSON
/// value, or an error.
public struct ChatCompletionDecoder: ResponseDecoder {
    private enum Form {
        case unknown
        /// The head has come, and of the body nothing that shows its form.
        case undecided(label: BodyForm)
        case stream(SSEParser)
        case whole(ByteBuffer)
        case error(status: Int, ByteBuffer)
        case finished
    }

    private let expectsStream: Bool
    private let limits: ResponseLimits
    private var form = Form.unknown
    private var receivedBytes = 0
    private var chunks: ChatCompletionChunkDecoder

    /// - Parameters:
    ///   - expectsStream: How to read a response whose form neither its content type nor its first
    ///     bytes show.
    ///   - showsReasoning: Whether the model's reasoning is to be shown as it comes.
    init(expectsStream: Bool, showsReasoning: Bool = false, limits: ResponseLimits) {
        self.expectsStream = expectsStream
        self.limits = limits
        chunks = ChatCompletionChunkDecoder(showsReasoning: showsReasoning)
    }

    public mutating func receiveHead(status: Int, contentType: String?) throws(LLMError) {
        guard 200..<300 ~= status else {
            form = .error(status: status, ByteBuffer())
            return
        }
        form = .undecided(label: BodyForm(contentType: contentType, expectsStream: expectsStream))
    }

    public mutating func receiveBody(_ part: ByteBuffer, into events: inout [LLMEvent]) throws(LLMError) -> ResponseProgress {
        receivedBytes += part.readableBytes
        switch form {
        case .unknown:
            throw LLMError(.invalidResponse, "The model's server sent a body without a head.")
        case .undecided(let label):
            guard receivedBytes <= limits.bodyBytes else { throw tooLarge }
            return try receiveBeginning(part, label, into: &events)
        case .stream(var parser):
            guard receivedBytes <= limits.bodyBytes else { throw tooLarge }
            // Taken out of the enum, so that its buffer is not copied.
            form = .unknown
            parser.append(part)
            let isDone = try readEvents(&parser, into: &events)
            form = isDone ? .finished : .stream(parser)
            if isDone { return .finished }
            return chunks.isAtEnd ? .trailers : .more
        case .whole(var body):
            guard receivedBytes <= limits.bodyBytes else { throw tooLarge }
            form = .unknown
            body.writeImmutableBuffer(part)
            form = .whole(body)
            return .more
        case .error(let status, var body):
            form = .unknown
            let length = min(part.readableBytes, limits.errorBytes - body.readableBytes)
            body.writeImmutableBuffer(part.getSlice(at: part.readerIndex, length: length) ?? ByteBuffer())
            form = .error(status: status, body)
            guard receivedBytes < limits.errorBytes else { throw Self.refusal(status: status, body: body) }
            return .more
        case .finished:
            return .finished
        }
    }

    private mutating func receiveBeginning(
        _ part: ByteBuffer, _ label: BodyForm, into events: inout [LLMEvent]
    ) throws(LLMError) -> ResponseProgress {
        var body = part
        while let byte = body.getInteger(at: body.readerIndex, as: UInt8.self), BodyForm.isBlank(byte) {
            body.moveReaderIndex(forwardBy: 1)
        }
        guard let first = body.getInteger(at: body.readerIndex, as: UInt8.self) else { return .more }
        switch BodyForm(firstByte: first, label: label) {
        case .json:
            form = .whole(body)
            return .more
        case .page:
            throw Self.page
        case .events:
            form = .stream(SSEParser(maxEventBytes: limits.bodyBytes))
            receivedBytes -= body.readableBytes
            return try receiveBody(body, into: &events)
        }
    }

    public mutating func receiveEnd(into events: inout [LLMEvent]) throws(LLMError) {
        let ended = form
        form = .finished
        switch ended {
        case .unknown: throw LLMError(.invalidResponse, "The model's server sent no answer.")
        case .undecided(label: .page): throw Self.page
        case .undecided: try chunks.finish(isMarked: false, into: &events)
        case .stream(var parser):
            if try readRest(of: &parser, into: &events) { return }
            try chunks.finish(isMarked: false, into: &events)
        case .whole(let body): try readWhole(body, into: &events)
        case .error(let status, let body): throw Self.refusal(status: status, body: body)
        case .finished: break
        }
    }

    public mutating func receiveLoss(into events: inout [LLMEvent]) -> Bool {
        guard case .stream = form, chunks.isAtEnd else {
            if case .finished = form { return true }
            return false
        }
        form = .finished
        do {
            try chunks.finish(isMarked: false, into: &events)
            return true
        } catch {
            return false
        }
    }

    // MARK: Events

    private mutating func readEvents(_ parser: inout SSEParser, into events: inout [LLMEvent]) throws(LLMError) -> Bool {
        while true {
            let event: SSEEvent?
            do {
                event = try parser.next()
            } catch {
                throw tooLarge
            }
            guard let event else { return false }
            if try chunks.decode(event, into: &events) {
                try chunks.finish(isMarked: true, into: &events)
                return true
            }
        }
    }

    /// Reads the events that are left at the end of a body. The last one may lack its blank line,
    /// or be broken off.
    ///
    /// - Returns: Whether an end mark was among them.
    private mutating func readRest(of parser: inout SSEParser, into events: inout [LLMEvent]) throws(LLMError) -> Bool {
        var broken: LLMError?
        while true {
            let event: SSEEvent?
            do {
                event = try parser.finish()
            } catch {
                throw tooLarge
            }
            guard let event else {
                // If each chunk names a reason, text may be missing.
                if let broken, chunks.isInDoubt { throw broken }
                return false
            }
            if let broken { throw broken }
            do throws(LLMError) {
                guard try chunks.decode(event, into: &events) else { continue }
            } catch {
                // Broken off within the event: it does not count, and what came before it decides.
                guard error.code == .invalidResponse, !ChatCompletionChunkDecoder.isJSON(event.data) else { throw error }
                broken = error
                continue
            }
            try chunks.finish(isMarked: true, into: &events)
            return true
        }
    }

    /// Reads a body that begins with JSON: one value, with an end mark behind it if a server has
    /// only wrapped it, or lines of JSON without the names of fields.
    private mutating func readWhole(_ body: ByteBuffer, into events: inout [LLMEvent]) throws(LLMError) {
        var rest = body
        let value = rest.readSlice(length: JSONSlice.lengthOfFirstValue(in: rest)) ?? rest
        try chunks.decode(value, into: &events)
        let isAlone = rest.readableBytesView.allSatisfy { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
        var parser = SSEParser(maxEventBytes: limits.bodyBytes)
        parser.append(rest)
        if try readRest(of: &parser, into: &events) { return }
        // A whole response needs no mark and no reason; a stream of chunks does.
        try chunks.finish(isMarked: isAlone && chunks.hasMessage, into: &events)
    }

    // MARK: Errors

    private static func refusal(status: Int, body: ByteBuffer) -> LLMError {
        var error = ErrorBody.httpError(status: status, body: body)
        error.asksFor = Concessions.askedFor(status: status, body: body)
        return error
    }

    private static var page: LLMError { LLMError(.invalidResponse, "The model's server answered with a web page.") }

    private var tooLarge: LLMError {
        LLMError(.invalidResponse, "The model's answer is larger than \(limits.bodyBytes) bytes.")
    }
}
