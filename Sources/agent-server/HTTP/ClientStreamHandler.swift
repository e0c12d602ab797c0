import AgentService
import NIOCore
import NIOHTTP1

/// Writes a client's stream into its connection, and notices that the client has left.
///
/// It stands in each connection's pipeline. The server's own writer would wake a task for every
/// text delta. Here the thread that has the bytes writes them as long as the connection accepts
/// them; otherwise they wait in the stream. They bypass the HTTP encoder, which would write each
/// chunk in three parts, as one buffer with a chunk's frame around it. So the response must have no
/// length.
///
/// The server keeps half-closed connections open, and nothing reads the socket of a silent stream.
/// So this handler closes the last stream that it was given when the client leaves. A client that
/// shuts down only its sending half has left, as it has for nginx.
final class ClientStreamHandler: ChannelInboundHandler, ChannelOutboundHandler, RemovableChannelHandler {
    typealias InboundIn = Any
    typealias OutboundIn = Any
    /// The HTTP encoder's own output.
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

    /// Closes the stream when its client leaves, or at once if it has left already.
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
        /// Succeeds or fails at the stream's end.
        var promise: EventLoopPromise<Void>?
        var encoder: ChannelHandlerContext
    }

    /// Writes the whole stream into the response, whose head was written and has no length. Returns
    /// when the connection has accepted everything; the response's end flushes the last bytes.
    ///
    /// - Throws: ``ClientLeft``, or the connection's error, if the stream was cut off: that must
    ///   not look like an end.
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
    /// Writes the stream's bytes; may be called on any thread.
    private var wake: (@Sendable () -> Void)?
    /// The HTTP encoder's context: what is written from there reaches the socket unchanged.
    private var encoder: ChannelHandlerContext?
    /// Knows whether the client understands chunks.
    private let versions = HTTP10Handler()
    /// Whether the client has shut down its sending half.
    private var isInputClosed = false
    /// Whether that ends the stream.
    private var endsWithInput = true
    /// A copy of the channel's own value, which every text delta needs.
    private var isWritable = true

    /// Enough for most requests with their heads. The connection keeps a buffer of this size; the
    /// buffer grows for larger requests, and shrinks again.
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
            // While the connection accepts nothing, nothing polls the stream.
            if let wake { event.stream.whenClosed(wake) }
            deliver()
        default:
            context.triggerUserOutboundEvent(event, promise: promise)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed {
            isInputClosed = true
            closeIfLeft(context)
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
        closeIfLeft(context)
    }

    /// Writes the bytes of the stream as long as the connection accepts them.
    private func deliver() {
        while let writing, isWritable || !writing.stream.isOpen {
            switch writing.stream.take(thenWake: wake) {
            case .bytes(var bytes, let isLast):
                if !versions.respondsToOld { bytes.frameAsChunk() }
                writing.encoder.write(wrapOutboundOut(.byteBuffer(bytes)), promise: nil)
                // The response's end flushes the last bytes when the connection has room for it.
                if isLast, isWritable { continue }
                return writing.encoder.flush()
            case .nothing:
                return
            case .end:
                // The step of a stream that ended early goes on. Its client may leave now.
                self.stream = nil
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

    /// Closes the connection of a client that has left, if it has a stream. A plain request may be
    /// followed by the end of the sending half, and still needs its response.
    private func closeIfLeft(_ context: ChannelHandlerContext) {
        guard isInputClosed, endsWithInput, let stream, stream.isLive else { return }
        leave()
        context.close(promise: nil)
    }
}
