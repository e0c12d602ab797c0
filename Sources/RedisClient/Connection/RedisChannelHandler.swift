import Logging
import NIOCore
import TransportSecurity

/// Passes the socket's bytes to the decoder, and its replies to the core.
final class RedisChannelHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let decoder: RedisReplyDecoder
    private let core: RedisConnectionCore
    private let logger: Logger
    private var error: RedisError?

    init(decoder: RedisReplyDecoder, core: RedisConnectionCore, logger: Logger) {
        self.decoder = decoder
        self.core = core
        self.logger = logger
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard error == nil else { return }
        core.heard()
        do throws(RedisError) {
            try decoder.feed(unwrapInboundIn(data))
            while let reply = try decoder.next() {
                guard core.received(reply, on: context.channel) else { return }
            }
        } catch {
            close(context, error)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let reason = TLSFailure.describe(error) ?? "\(error)"
        close(context, RedisError(.connectionLost, "the connection to Redis failed: \(reason)", mayHaveBeenApplied: true))
    }

    func channelInactive(context: ChannelHandlerContext) {
        core.ended(
            error ?? RedisError(.connectionLost, "Redis closed the connection", mayHaveBeenApplied: true), on: context.channel)
        context.fireChannelInactive()
    }

    private func close(_ context: ChannelHandlerContext, _ error: RedisError) {
        self.error = error
        core.ended(error, on: context.channel)
        context.close(promise: nil)
    }
}
