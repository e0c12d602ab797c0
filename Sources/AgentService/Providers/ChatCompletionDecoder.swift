import JSONText
import NIOCore
import SessionStore

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
        /// The head has come, and of the body nothing that tells what it is.
        case undecided(label: BodyForm)
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
    ///   - expectsStream: How to read an answer that tells neither by its content type nor by its first bytes.
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
        form = .undecided(label: BodyForm(contentType: contentType, expectsStream: expectsStream))
    }

    /// Takes a part of the body. When it throws, `events` holds what came before the error.
    mutating func receiveBody(_ part: ByteBuffer, into events: inout [LLMEvent]) throws(LLMError) -> Progress {
        receivedBytes += part.readableBytes
        switch form {
        case .unknown:
            throw LLMError(.invalidResponse, "The model's server sent a body without a head.")
        case .undecided(let label):
            guard receivedBytes <= maxBytes else { throw tooLarge }
            return try receiveBeginning(part, label, into: &events)
        case .stream(var parser):
            guard receivedBytes <= maxBytes else { throw tooLarge }
            // Taken out of the enum, so that its buffer is not copied.
            form = .unknown
            parser.append(part)
            let isDone = try readEvents(&parser, into: &events)
            form = isDone ? .finished : .stream(parser)
            if isDone { return .finished }
            return decoder.isAtEnd ? .trailers : .more
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

    private mutating func receiveBeginning(
        _ part: ByteBuffer, _ label: BodyForm, into events: inout [LLMEvent]
    ) throws(LLMError) -> Progress {
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
            form = .stream(SSEParser(maxEventBytes: maxBytes))
            receivedBytes -= body.readableBytes
            return try receiveBody(body, into: &events)
        }
    }

    /// The body has ended.
    mutating func receiveEnd(into events: inout [LLMEvent]) throws(LLMError) {
        let ended = form
        form = .finished
        switch ended {
        case .unknown: throw LLMError(.invalidResponse, "The model's server sent no answer.")
        case .undecided(label: .page): throw Self.page
        case .undecided: try decoder.finish(isMarked: false, into: &events)
        case .stream(var parser):
            if try readRest(of: &parser, into: &events) { return }
            try decoder.finish(isMarked: false, into: &events)
        case .whole(let body): try readWhole(body, into: &events)
        case .error(let status, let body): throw ErrorBody.httpError(status: status, body: body)
        case .finished: break
        }
    }

    /// The connection is lost, or nothing comes any more. True if the answer was complete nevertheless, with its
    /// ``LLMEvent/finish(_:)`` appended.
    mutating func receiveLoss(into events: inout [LLMEvent]) -> Bool {
        guard case .stream = form, decoder.isAtEnd else {
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
            if try decoder.decode(event, into: &events) {
                try decoder.finish(isMarked: true, into: &events)
                return true
            }
        }
    }

    /// Reads the events that are left at the end of a body, of which the last may lack its blank line, or be broken off.
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
                // Where each chunk names a reason, what is missing may be text.
                if let broken, decoder.isInDoubt { throw broken }
                return false
            }
            if let broken { throw broken }
            do throws(LLMError) {
                guard try decoder.decode(event, into: &events) else { continue }
            } catch {
                // Broken off within the event: it does not count, and what came before it decides.
                guard error.code == .invalidResponse, !ChatCompletionChunkDecoder.isJSON(event.data) else { throw error }
                broken = error
                continue
            }
            try decoder.finish(isMarked: true, into: &events)
            return true
        }
    }

    /// Reads a body that begins with JSON: one value, with an end mark behind it where a server has but wrapped it, or lines of
    /// JSON without the names of fields.
    private mutating func readWhole(_ body: ByteBuffer, into events: inout [LLMEvent]) throws(LLMError) {
        var rest = body
        let value = rest.readSlice(length: JSONSlice.lengthOfFirstValue(in: rest)) ?? rest
        try decoder.decode(value, into: &events)
        let isAlone = rest.readableBytesView.allSatisfy { [0x20, 0x09, 0x0A, 0x0D].contains($0) }
        var parser = SSEParser(maxEventBytes: maxBytes)
        parser.append(rest)
        if try readRest(of: &parser, into: &events) { return }
        // A whole answer needs no mark and no reason; a stream of chunks does.
        try decoder.finish(isMarked: isAlone && decoder.hasMessage, into: &events)
    }

    private static var page: LLMError { LLMError(.invalidResponse, "The model's server answered with a web page.") }
    private var tooLarge: LLMError { LLMError(.invalidResponse, "The model's answer is larger than \(maxBytes) bytes.") }
}
