import AgentService
import NIOCore

/// Notices that a client has left while its stream is being written.
///
/// The server keeps half-closed connections open, and a task that waits for the next event never looks at its socket. This
/// handler stands in each connection's pipeline and closes the stream that it was last told of. A client that shuts down only
/// its sending half counts as gone, as it does for nginx.
final class ClientWatch: ChannelInboundHandler, ChannelOutboundHandler, RemovableChannelHandler {
    typealias InboundIn = Any
    typealias OutboundIn = Any
    typealias OutboundOut = Any

    /// The event that names the stream to close.
    struct Watch: Sendable {
        var stream: ClientStream
    }

    private weak var stream: ClientStream?
    /// The client has shut down its sending half.
    private var isInputClosed = false

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        guard let watch = event as? Watch else {
            context.triggerUserOutboundEvent(event, promise: promise)
            return
        }
        stream = watch.stream
        if !context.channel.isActive { watch.stream.close() }
        giveUpStreamIfLeft(context)
        promise?.succeed()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed {
            isInputClosed = true
            giveUpStreamIfLeft(context)
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// Only a stream is given up for it: a plain request may be followed by the end of the sending half, and still wants its answer.
    private func giveUpStreamIfLeft(_ context: ChannelHandlerContext) {
        guard isInputClosed, let stream, stream.isLive else { return }
        stream.close()
        self.stream = nil
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        stream?.close()
        stream = nil
        context.fireChannelInactive()
    }
}
