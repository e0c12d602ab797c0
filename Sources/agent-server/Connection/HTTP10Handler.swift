import NIOCore
import NIOHTTP1

/// Answers HTTP/1.0 in its own way: without chunks, which it does not know, and with the
/// connection's end as the answer's (RFC 9112, section 6.3). nginx speaks it to upstreams unless it
/// is told otherwise.
///
/// It stands beside the socket, since above it the requests have no version.
final class HTTP10Handler: ChannelInboundHandler, ChannelOutboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// The last request is of HTTP/1.0. There is none after it, since its connection ends with its
    /// answer.
    private(set) var isOld = false
    /// Another request came after it, and is not answered.
    private var isOver = false
    /// Requests without an answer, earlier ones that do not count.
    private var unanswered = 0

    /// Whether the answer that is being written is one to HTTP/1.0.
    var answersOld: Bool { isOld && unanswered <= 1 }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(var request) = unwrapInboundIn(data) else {
            if !isOver { context.fireChannelRead(data) }
            return
        }
        guard !isOld else { return isOver = true }
        unanswered += 1
        guard request.version.major == 1, request.version.minor == 0 else { return context.fireChannelRead(data) }
        isOld = true
        // The server closes for the one, and must not answer the other.
        request.headers.replaceOrAdd(name: "Connection", value: "close")
        request.headers.remove(name: "Expect")
        context.fireChannelRead(wrapInboundOut(.head(request)))
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var response) where answersOld:
            // With this version the encoder makes no chunks.
            response.version = .http1_0
            response.headers.replaceOrAdd(name: "Connection", value: "close")
            context.write(wrapOutboundOut(.head(response)), promise: promise)
        case .end:
            context.write(data, promise: promise)
            unanswered -= 1
        default:
            context.write(data, promise: promise)
        }
    }
}
