import NIOCore
import NIOHTTP1

/// Responds to HTTP/1.0 without chunks, which it does not have: the end of the connection is the
/// end of the response (RFC 9112, section 6.3). nginx speaks HTTP/1.0 to upstreams unless its
/// settings say otherwise.
///
/// It stands beside the socket, since requests have no version further up.
final class HTTP10Handler: ChannelInboundHandler, ChannelOutboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// Whether the last request is one of HTTP/1.0. Its connection ends with its response.
    private(set) var isOld = false
    /// Whether another request followed it, which gets no response.
    private var isIgnoring = false
    /// The number of requests that still wait for a response. Requests that follow one of HTTP/1.0
    /// are ignored, and not counted.
    private var outstanding = 0

    /// Whether the response that is being written is one to HTTP/1.0.
    var respondsToOld: Bool { isOld && outstanding <= 1 }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(var request) = unwrapInboundIn(data) else {
            if !isIgnoring { context.fireChannelRead(data) }
            return
        }
        guard !isOld else { return isIgnoring = true }
        outstanding += 1
        guard request.version.major == 1, request.version.minor == 0 else { return context.fireChannelRead(data) }
        isOld = true
        // The server closes the connection for this header, and must not respond to the other one.
        request.headers.replaceOrAdd(name: "Connection", value: "close")
        request.headers.remove(name: "Expect")
        context.fireChannelRead(wrapInboundOut(.head(request)))
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var response) where respondsToOld:
            // With this version the encoder makes no chunks.
            response.version = .http1_0
            response.headers.replaceOrAdd(name: "Connection", value: "close")
            context.write(wrapOutboundOut(.head(response)), promise: promise)
        case .end:
            context.write(data, promise: promise)
            outstanding -= 1
        default:
            context.write(data, promise: promise)
        }
    }
}
