import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Bounds what a request's body may do to its connection. The HTTP server leaves three things open:
///
/// - A response that comes before the body's end (401, 413) must end the connection. Otherwise the
///   server reads the rest of the body, however long it is.
/// - A body that trickles in must end, too: the server itself limits only its silence. A body that
///   is incomplete when the server stops must end soon.
/// - `Expect: 100-continue` needs a response, or curl waits a second with every larger message (RFC
///   9110, section 10.1.1).
final class RequestBodyGuard: ChannelInboundHandler, ChannelOutboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let bodyLimit: Int
    private let patience: TimeAmount
    /// How long a client may take to read an early response while the server discards its bytes.
    private let linger = TimeAmount.seconds(1)
    /// How long a body may take that is incomplete when the server stops.
    private let quiescePatience = TimeAmount.seconds(1)
    /// Whether a request has begun whose body has not ended.
    private var isOpen = false
    /// Requests whose responses have not ended: more than one if a client pipelines.
    private var outstanding = 0
    /// Whether the client waits for `100 Continue` until the responses to earlier requests have ended.
    private var owesContinue = false
    private var isEnding = false
    private var isQuiescing = false
    /// Closes the connection of a body that takes too long.
    private var timer: Scheduled<Void>?

    /// - Parameters:
    ///   - bodyLimit: Bytes; the server does not ask for a larger body.
    ///   - patience: How long a body may take.
    init(bodyLimit: Int, patience: TimeAmount) {
        self.bodyLimit = bodyLimit
        self.patience = patience
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isEnding else {
            // Discarded. A body that has arrived must not cut off the response, which may be a long stream.
            if case .end = unwrapInboundIn(data) { bodyEnded() }
            return
        }
        switch unwrapInboundIn(data) {
        case .head(let request):
            isOpen = true
            outstanding += 1
            if request.headerFields[.expect]?.lowercased() == "100-continue", length(request) <= bodyLimit {
                if outstanding > 1 { owesContinue = true } else { letContinue(context) }
            }
        case .body:
            break
        case .end:
            bodyEnded()
        }
        context.fireChannelRead(data)
    }

    private func bodyEnded() {
        isOpen = false
        timer?.cancel()
        timer = nil
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        // Most bodies come with their head, and need no timer.
        if isOpen, timer == nil { giveBody(isQuiescing ? quiescePatience : patience, context) }
        context.fireChannelReadComplete()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent {
            isQuiescing = true
            if isOpen { giveBody(quiescePatience, context) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
    }

    private func giveBody(_ patience: TimeAmount, _ context: ChannelHandlerContext) {
        timer?.cancel()
        let channel = context.channel
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: patience) { channel.close(promise: nil) }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var response):
            if isOpen, outstanding == 1 {
                response.headerFields[.connection] = "close"
                isEnding = true
            }
            context.write(wrapOutboundOut(.head(response)), promise: promise)
        case .end where isEnding:
            context.writeAndFlush(data, promise: promise)
            // Closed in two steps: a reset would take the response from a client that is still sending.
            context.close(mode: .output, promise: nil)
            let channel = context.channel
            context.eventLoop.assumeIsolated().scheduleTask(in: linger) { channel.close(promise: nil) }
        case .end:
            outstanding -= 1
            context.write(data, promise: promise)
            if owesContinue, outstanding == 1 { letContinue(context) }
        case .body:
            context.write(data, promise: promise)
        }
    }

    private func letContinue(_ context: ChannelHandlerContext) {
        owesContinue = false
        context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
    }

    private func length(_ request: HTTPRequest) -> Int {
        request.headerFields[.contentLength].flatMap { Int($0) } ?? 0
    }
}
