import AgentService
import NIOCore
import NIOHTTP1

/// Writes a client's stream into its connection, and notices that the client has left.
///
/// It stands in each connection's pipeline. The server's own writer would have a task wake up for every token; here a stream's bytes are
/// written by whoever has them, as long as the connection takes them, and wait in the stream otherwise. They go past the HTTP encoder, which would make
/// three writes of each chunk, as one buffer with a chunk's frame around it; so the response must have no length.
///
/// The server keeps half-closed connections open, and nobody looks at the socket of a stream that is silent. So this closes the stream that it
/// was last told of when its client goes. A client that shuts down only its sending half counts as gone, as it does for nginx.
final class ClientStreamHandler: ChannelInboundHandler, ChannelOutboundHandler, RemovableChannelHandler {
    typealias InboundIn = Any
    typealias OutboundIn = Any
    /// As the HTTP encoder has it.
    typealias OutboundOut = IOData

    /// The event that names the stream to close.
    private struct Watch: Sendable {
        var stream: ClientStream
        var endsWithInput: Bool
    }

    /// The event that names the stream to write.
    struct Delivery: Sendable {
        var stream: ClientStream
    }

    /// The client has closed its connection, or was cut off.
    struct ClientLeft: Error {}

    /// Has the stream closed when its client leaves; at once where it has left already.
    ///
    /// - Parameter endsWithInput: Whether a client that shuts down its sending half has left.
    static func watch(_ stream: ClientStream, on channel: any Channel, endsWithInput: Bool = true) {
        let promise = channel.eventLoop.makePromise(of: Void.self)
        promise.futureResult.whenFailure { _ in stream.close() }
        channel.triggerUserOutboundEvent(Watch(stream: stream, endsWithInput: endsWithInput), promise: promise)
    }

    /// The stream that is being written.
    private struct Writing {
        var stream: ClientStream
        /// What is told of its end.
        var promise: EventLoopPromise<Void>?
        var encoder: ChannelHandlerContext
    }

    /// Writes all that the stream brings into the response, whose head was written and has no length. Returns once the connection has taken everything;
    /// the last bytes are flushed with the response's end.
    ///
    /// - Throws: Where the stream did not end by itself, since that must not look like an end: ``ClientLeft``, and what the connection says.
    static func deliver(_ stream: ClientStream, over channel: any Channel) async throws {
        let promise = channel.eventLoop.makePromise(of: Void.self)
        channel.triggerUserOutboundEvent(Delivery(stream: stream), promise: promise)
        try await withTaskCancellationHandler {
            try await promise.futureResult.get()
        } onCancel: {
            stream.close()
        }
    }

    private weak var stream: ClientStream?
    private var writing: Writing?
    /// Has the stream's bytes written; from any thread.
    private var wake: (@Sendable () -> Void)?
    /// The HTTP encoder's place: what is written from there goes to the socket as it is.
    private var encoder: ChannelHandlerContext?
    /// Tells whether the client knows chunks.
    private let versions = HTTP10Handler()
    /// The client has shut down its sending half.
    private var isInputClosed = false
    /// Whether that ends the stream.
    private var endsWithInput = true
    /// The channel's, which is asked for with every token.
    private var isWritable = true

    /// A request with its head, as most are. The connection keeps a buffer of this size; it grows for larger ones, and shrinks again.
    private static let readBytes = 1024

    func handlerAdded(context: ChannelHandlerContext) {
        let buffers = AdaptiveRecvByteBufferAllocator(minimum: Self.readBytes, initial: Self.readBytes, maximum: 65_536)
        try? context.channel.syncOptions?.setOption(.recvAllocator, value: buffers)
        let pipeline = context.pipeline.syncOperations
        encoder = try? pipeline.context(handlerType: HTTPResponseEncoder.self)
        if let decoder = try? pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self) {
            try? pipeline.addHandler(versions, position: .after(decoder))
        }
        isWritable = context.channel.isWritable
        let (handler, eventLoop) = (NIOLoopBound(self, eventLoop: context.eventLoop), context.eventLoop)
        wake = {
            if eventLoop.inEventLoop {
                handler.value.deliver()
            } else {
                eventLoop.execute { handler.value.deliver() }
            }
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        leave()
        wake = nil
        encoder = nil
    }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        switch event {
        case let event as Watch:
            watch(event.stream, endsWithInput: event.endsWithInput, context)
            promise?.succeed()
        case let event as Delivery:
            watch(event.stream, endsWithInput: true, context)
            guard let encoder else {
                promise?.fail(ChannelPipelineError.notFound)
                return
            }
            writing = Writing(stream: event.stream, promise: promise, encoder: encoder)
            // While the connection takes nothing, nobody asks the stream.
            if let wake { event.stream.whenClosed(wake) }
            deliver()
        default:
            context.triggerUserOutboundEvent(event, promise: promise)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed {
            isInputClosed = true
            giveUpStreamIfLeft(context)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isWritable = context.channel.isWritable
        deliver()
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        leave()
        context.fireChannelInactive()
    }

    private func watch(_ stream: ClientStream, endsWithInput: Bool, _ context: ChannelHandlerContext) {
        self.stream = stream
        self.endsWithInput = endsWithInput
        if !context.channel.isActive { stream.close() }
        giveUpStreamIfLeft(context)
    }

    /// Writes what the stream has, as far as the connection takes it.
    private func deliver() {
        while let writing, isWritable || !writing.stream.isOpen {
            switch writing.stream.take(thenWake: wake) {
            case .bytes(var bytes, let isLast):
                if !versions.answersOld { bytes.frameAsChunk() }
                writing.encoder.write(wrapOutboundOut(.byteBuffer(bytes)), promise: nil)
                // The response's end takes the last bytes along, once the connection has room for it.
                if isLast, isWritable { continue }
                return writing.encoder.flush()
            case .nothing:
                return
            case .end:
                return end(.success(()))
            case .left:
                return end(.failure(ClientLeft()))
            }
        }
    }

    private func end(_ result: Result<Void, any Error>) {
        writing.take()?.promise?.completeWith(result)
    }

    private func leave() {
        stream?.close()
        stream = nil
        end(.failure(ClientLeft()))
    }

    /// Only a stream is given up for it: a plain request may be followed by the end of the sending half, and still wants its answer.
    private func giveUpStreamIfLeft(_ context: ChannelHandlerContext) {
        guard isInputClosed, endsWithInput, let stream, stream.isLive else { return }
        leave()
        context.close(promise: nil)
    }
}
