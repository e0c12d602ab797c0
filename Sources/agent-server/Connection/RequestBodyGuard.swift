import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// What a request's body may do to its connection. The HTTP server leaves three things open:
///
/// - An answer that comes before the body's end (401, 413) must end the connection, or the server reads the rest of the body, however long it is.
/// - A body that trickles in must end, too; the server's own limit is one of silence.
/// - `Expect: 100-continue` is answered, or curl waits a second with every larger message (RFC 9110, section 10.1.1).
final class RequestBodyGuard: ChannelInboundHandler, ChannelOutboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let bodyLimit: Int
    private let patience: TimeAmount
    /// How long a client may take to read an early answer while its own bytes are thrown away.
    private let linger = TimeAmount.seconds(1)
    /// When the request began whose body has not ended.
    private var begun: NIODeadline?
    private var isEnding = false

    /// - Parameters:
    ///   - bodyLimit: Bytes; a larger body is not asked for.
    ///   - patience: How long a body may take.
    init(bodyLimit: Int, patience: TimeAmount) {
        self.bodyLimit = bodyLimit
        self.patience = patience
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isEnding else { return }
        switch unwrapInboundIn(data) {
        case .head(let request):
            begun = .now()
            if request.headerFields[.expect]?.lowercased() == "100-continue", length(request) <= bodyLimit {
                context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
            }
        case .body:
            if let begun, NIODeadline.now() - begun > patience {
                context.close(promise: nil)
                return
            }
        case .end:
            begun = nil
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var response) where begun != nil:
            response.headerFields[.connection] = "close"
            isEnding = true
            context.write(wrapOutboundOut(.head(response)), promise: promise)
        case .end where isEnding:
            context.writeAndFlush(data, promise: promise)
            // Closed in two steps: a client that is still sending would otherwise lose the answer with a reset.
            context.close(mode: .output, promise: nil)
            let channel = context.channel
            context.eventLoop.assumeIsolated().scheduleTask(in: linger) { channel.close(promise: nil) }
        default:
            context.write(data, promise: promise)
        }
    }

    private func length(_ request: HTTPRequest) -> Int {
        request.headerFields[.contentLength].flatMap { Int($0) } ?? 0
    }
}
