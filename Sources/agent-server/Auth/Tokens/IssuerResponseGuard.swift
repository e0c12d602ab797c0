import NIOCore
import NIOHTTP1

/// Closes the connection to the issuer at a response that the HTTP client does not expect: it ends
/// the process at a status below 100, and at parts of a response for which it did not ask.
final class IssuerResponseGuard: ChannelDuplexHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundIn = HTTPClientRequestPart

    /// The response is not one.
    struct Unexpected: Error, CustomStringConvertible {
        var description: String { "the response is not HTTP" }
    }

    private enum State {
        case idle, awaited, open, shut
    }

    private var state = State.idle

    /// Puts a guard between the decoder of responses and the HTTP client.
    static func add(to channel: any Channel) throws {
        let pipeline = channel.pipeline.syncOperations
        let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPResponseDecoder>.self)
        try pipeline.addHandler(IssuerResponseGuard(), position: .after(decoder))
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if state == .idle { state = .awaited }
        context.write(data, promise: promise)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (state, unwrapInboundIn(data)) {
        case (.shut, _): return
        case (.awaited, .head(let head)) where 200...599 ~= head.status.code: state = .open
        // The response is still to come.
        case (.awaited, .head(let head)) where head.status.code == 100 || 102...199 ~= head.status.code: return
        case (.open, .body): break
        case (.open, .end): state = .shut
        default:
            state = .shut
            context.fireErrorCaught(Unexpected())
            context.close(promise: nil)
            return
        }
        context.fireChannelRead(data)
    }
}
