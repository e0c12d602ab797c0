import Logging
import NIOCore
import NIOPosix
import TransportSecurity

/// Feeds the socket's bytes to the decoder, and reports its replies and the socket's end.
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

    /// Opens a socket whose events go to `core`.
    static func connect(
        for core: RedisConnectionCore, _ configuration: RedisConfiguration, on eventLoop: any EventLoop, logger: Logger
    ) -> EventLoopFuture<any Channel>.Isolated {
        let bound = NIOLoopBound(core, eventLoop: eventLoop)
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(TimeAmount(configuration.connectTimeout))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let operations = channel.pipeline.syncOperations
                    if configuration.usesTLS { try operations.addHandler(configuration.sharedTLS.handler(configuration)) }
                    let decoder = try RedisReplyDecoder(maxBytes: configuration.maxReplyBytes, maxNodes: configuration.maxReplyNodes)
                    try operations.addHandler(RedisChannelHandler(decoder: decoder, core: bound.value, logger: logger))
                }
            }
        let future =
            switch configuration.address {
            case .tcp(let host, let port): bootstrap.connect(host: host, port: port)
            case .unix(let path): bootstrap.connect(unixDomainSocketPath: path)
            }
        return future.assumeIsolated()
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
