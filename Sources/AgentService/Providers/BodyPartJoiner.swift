import NIOCore
import NIOHTTP1

/// Hands on all parts of a body that one read from the socket brought as one.
///
/// Models send each event as a chunk of its own, and the HTTP client goes a long way for each part: joining those that are there already costs
/// one copy and a tenth of the time. Nothing waits: what was read goes on before the read's end is told.
final class BodyPartJoiner: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias InboundOut = HTTPClientResponsePart

    private var first: ByteBuffer?
    /// From the second part on; its memory is used again by nobody: the consumer keeps slices of it.
    private var joined = ByteBuffer()

    /// Puts the handler between the decoder and the client of a connection that was just made.
    static func add(to channel: any Channel) throws {
        let pipeline = channel.pipeline.syncOperations
        let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPResponseDecoder>.self)
        try pipeline.addHandler(BodyPartJoiner(), position: .after(decoder))
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .body(let part) = unwrapInboundIn(data) else {
            passOn(context)
            context.fireChannelRead(data)
            return
        }
        if let first {
            if joined.readableBytes == 0 { joined.writeImmutableBuffer(first) }
            joined.writeImmutableBuffer(part)
        } else {
            first = part
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        passOn(context)
        context.fireChannelReadComplete()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        passOn(context)
        context.fireErrorCaught(error)
    }

    func channelInactive(context: ChannelHandlerContext) {
        passOn(context)
        context.fireChannelInactive()
    }

    private func passOn(_ context: ChannelHandlerContext) {
        guard let part = first else { return }
        let body = joined.readableBytes > 0 ? joined : part
        first = nil
        joined = ByteBuffer()
        context.fireChannelRead(wrapInboundOut(.body(body)))
    }
}
