import AsyncHTTPClient
import NIOCore
import NIOHTTP1

/// Sends a request's head together with its body. The HTTP client flushes the head on its own,
/// which costs a system call and wakes the model's server for a request that it cannot read yet.
final class RequestFlushCoalescer: ChannelOutboundHandler {
    typealias OutboundIn = HTTPClientRequestPart
    typealias OutboundOut = HTTPClientRequestPart

    /// Whether a head alone was written since the last flush.
    private var endsWithHead = false
    private var isHeld = false

    /// Adds the handler to a connection that was just made, between the client and the encoder.
    static func add(to channel: any Channel) throws {
        let pipeline = channel.pipeline.syncOperations
        let encoder = try pipeline.handler(type: HTTPRequestEncoder.self)
        try pipeline.addHandler(RequestFlushCoalescer(), position: .after(encoder))
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .head = unwrapOutboundIn(data) { endsWithHead = true } else { endsWithHead = false }
        context.write(data, promise: promise)
    }

    func flush(context: ChannelHandlerContext) {
        guard endsWithHead else {
            isHeld = false
            return context.flush()
        }
        endsWithHead = false
        isHeld = true
        // A body that is complete follows at once. One that is yet to come must not keep the head.
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.execute {
            let (coalescer, context) = bound.value
            guard coalescer.isHeld else { return }
            coalescer.isHeld = false
            context.flush()
        }
    }
}
