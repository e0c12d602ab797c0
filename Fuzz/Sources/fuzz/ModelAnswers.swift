import Logging
import NIOCore
import NIOEmbedded
import NIOHTTP1

@testable import AsyncHTTPClient
@testable import LanguageModels

/// Feeds bytes from a model server through NIO's decoder, the gate and the HTTP client's own
/// handler to the decoder of completions. Only the socket is simulated.
final class ModelAnswers: Target {
    private(set) var accepted = 0
    private let loop = EmbeddedEventLoop()
    /// Sends no request, so it needs no connection. It lives as long as the process.
    private let client: PerEventLoopHTTPClient
    private let logger: Logger
    private let template: HTTPClient.Request

    init() throws {
        var logger = Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() }
        logger.logLevel = .critical
        self.logger = logger
        client = PerEventLoopHTTPClient(eventLoop: loop, configuration: .init())
        template = try HTTPClient.Request(url: "http://model/v1/chat/completions", method: .POST, body: .string("{}"))
    }

    func run(_ input: [UInt8]) {
        let input = Input(input)
        let channel = EmbeddedChannel(loop: loop)
        let released = Released()
        do {
            try channel.connect(to: SocketAddress(unixDomainSocketPath: "/model")).wait()
            let connection = try HTTP1Connection.start(
                channel: channel, connectionID: 0, delegate: released, decompression: .disabled, logger: logger)
            try client.prepare(channel)
            begin(connection, input, released)
            for (number, piece) in input.pieces.enumerated() {
                channel.pipeline.fireChannelRead(ByteBuffer(bytes: piece))
                if input.choices[2] & 1 == 0 || number.isMultiple(of: 3) { channel.pipeline.fireChannelReadComplete() }
                loop.run()
                // Begins the next request on the same connection when the connection is free.
                if released.take(), channel.isActive, input.choices[2] & 2 != 0 { begin(connection, input, released) }
            }
            switch input.choices[2] >> 2 & 3 {
            case 0: channel.pipeline.fireErrorCaught(IOError(errnoCode: 104, reason: "read"))
            case 1: channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
            default: break
            }
            channel.pipeline.fireChannelReadComplete()
            channel.close(promise: nil)
            loop.run()
            if released.isRead.set(false) { accepted += 1 }
            withExtendedLifetime(connection) {}
        } catch {
            fatalError("the pipeline could not be made: \(error)")
        }
    }

    private func begin(_ connection: HTTP1Connection, _ input: Input, _ released: Released) {
        let reader = AnswerReader(client: client, expectsStream: input.choices[2] & 16 == 0)
        let task = HTTPClient.Task<Void>(
            eventLoop: loop, logger: logger, tracing: .init(),
            makeOrGetFileIOThreadPool: { fatalError("no file is sent") })
        reader.isRead = released.isRead
        do {
            let request = try RequestBag(
                request: template, eventLoopPreference: .indifferent, task: task, redirectHandler: nil, connectionDeadline: .distantFuture,
                requestOptions: .fromClientConfiguration(.init()), delegate: reader)
            reader.cancelAt = input.choices[2] & 32 == 0 ? nil : Int(input.choices[3])
            task.futureResult.whenFailure { _ in }
            connection.sendableView.executeRequest(request)
            loop.run()
        } catch {
            fatalError("the request could not be made: \(error)")
        }
    }

    private final class Released: HTTP1ConnectionDelegate {
        private let isReleased = Flag()
        /// Whether the model server has sent anything.
        let isRead = Flag()
        func http1ConnectionReleased(_: HTTPConnectionPool.Connection.ID) { isReleased.set(true) }
        func http1ConnectionClosed(_: HTTPConnectionPool.Connection.ID) {}
        func take() -> Bool { isReleased.set(false) }
    }
}

/// Reads one response as a generation does, without its timeouts.
private final class AnswerReader: HTTPClientResponseDelegate, BodyReceiver, @unchecked Sendable {
    typealias Response = Void

    private let client: PerEventLoopHTTPClient
    private var answer: ChatCompletionDecoder
    private var events: [LLMEvent] = []
    private var isOver = false
    private var task: HTTPClient.Task<Void>?
    /// The number of the body's part at which the caller cancels.
    var cancelAt: Int?
    private var parts = 0
    var isRead: Flag?

    init(client: PerEventLoopHTTPClient, expectsStream: Bool) {
        self.client = client
        answer = ChatCompletionDecoder(
            expectsStream: expectsStream, limits: ResponseLimits(bodyBytes: 64 << 10, errorBytes: 1 << 10))
    }

    func didReceiveHead(task: HTTPClient.Task<Void>, _ head: HTTPResponseHead) -> EventLoopFuture<Void> {
        hold(200...599 ~= head.status.code, "a status of \(head.status.code) went on")
        self.task = task
        step { answer, _ throws(LLMError) in
            try answer.receiveHead(status: Int(head.status.code), contentType: head.headers.first(name: "content-type"))
            return .more
        }
        if cancelAt == 0 { task.cancel() } else { client.passBody(to: self) }
        return task.eventLoop.makeSucceededVoidFuture()
    }

    func didReceiveBodyPart(task: HTTPClient.Task<Void>, _ buffer: ByteBuffer) -> EventLoopFuture<Void> {
        receiveBody(buffer)
        return task.eventLoop.makeSucceededVoidFuture()
    }

    func receiveBody(_ bytes: ByteBuffer) {
        parts += 1
        if parts == cancelAt { task?.cancel() }
        step { answer, events throws(LLMError) in try answer.receiveBody(bytes, into: &events) }
    }

    func didFinishRequest(task: HTTPClient.Task<Void>) throws {
        step { answer, events throws(LLMError) in
            try answer.receiveEnd(into: &events)
            return .finished
        }
    }

    func didReceiveError(task: HTTPClient.Task<Void>, _ error: any Error) {
        if !isOver { _ = answer.receiveLoss(into: &events) }
        isOver = true
    }

    private func step(_ body: (inout ChatCompletionDecoder, inout [LLMEvent]) throws(LLMError) -> ResponseProgress) {
        guard !isOver else { return }
        do throws(LLMError) {
            if try body(&answer, &events) == .finished { isOver = true }
        } catch {
            isOver = true
            task?.cancel()
        }
        if !events.isEmpty { isRead?.set(true) }
        for case .usage(let usage) in events { hold(usage.totalTokens >= 0, "tokens: \(usage)") }
        events.removeAll(keepingCapacity: true)
    }
}
