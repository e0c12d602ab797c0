import Locks
import NIOCore
import NIOPosix

/// A network link that can fail: a TCP proxy on loopback that forwards bytes, holds them back, or
/// closes every connection.
final class Link: Sendable {
    enum Condition: Sendable {
        case well
        /// The link holds back all bytes, and neither side notices.
        case silent
        /// The link closes all connections, and closes new ones at once.
        case cut
        /// The link closes all connections, and sends these bytes in response to the first bytes on
        /// a new one.
        case answering(String)
    }

    private struct State {
        var condition = Condition.well
        var channels: [ObjectIdentifier: any Channel] = [:]
        var listener: (any Channel)?
    }

    private let state = Guarded(State())
    private let target: Int

    var port: Int { state.withLock { $0.listener?.localAddress?.port ?? 0 } }

    /// Starts a link.
    ///
    /// - Parameter target: A loopback port. No process need listen on it yet.
    static func start(to target: Int) async throws -> Link {
        let link = Link(target: target)
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Front(link)) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        link.state.withLock { $0.listener = listener }
        return link
    }

    private init(target: Int) {
        self.target = target
    }

    func set(_ condition: Condition) {
        let channels = state.withLock { state in
            state.condition = condition
            return Array(state.channels.values)
        }
        for channel in channels {
            switch condition {
            case .well: channel.read()
            case .silent: break
            case .cut, .answering: channel.close(promise: nil)
            }
        }
    }

    func stop() {
        set(.cut)
        state.withLock { $0.listener }?.close(promise: nil)
    }

    fileprivate var mayPass: Bool { state.withLock { if case .well = $0.condition { true } else { false } } }

    private func connect(_ inbound: any Channel) {
        switch state.withLock({ $0.condition }) {
        case .cut: return inbound.close(promise: nil)
        case .answering(let text):
            watch(inbound)
            try? inbound.pipeline.syncOperations.addHandler(Answer(text))
            return inbound.read()
        case .well, .silent: break
        }
        ClientBootstrap(group: inbound.eventLoop)
            .channelOption(.autoRead, value: false)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .connectTimeout(.seconds(1))
            .connect(host: "127.0.0.1", port: target)
            // Both channels are on one event loop.
            .flatMapThrowing { outbound in
                try outbound.pipeline.syncOperations.addHandler(Pipe(self, to: inbound))
                try inbound.pipeline.syncOperations.addHandler(Pipe(self, to: outbound))
                self.watch(inbound)
                self.watch(outbound)
                outbound.read()
                inbound.read()
            }
            .whenFailure { _ in inbound.close(promise: nil) }
    }

    private func watch(_ channel: any Channel) {
        let id = ObjectIdentifier(channel)
        state.withLock { $0.channels[id] = channel }
        channel.closeFuture.whenComplete { _ in self.state.withLock { _ = $0.channels.removeValue(forKey: id) } }
    }

    /// Connects to the target when a client has connected.
    private final class Front: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let link: Link

        init(_ link: Link) {
            self.link = link
        }

        func channelActive(context: ChannelHandlerContext) {
            link.connect(context.channel)
            context.fireChannelActive()
        }
    }

    /// Sends the text in response to the first bytes, and closes the connection.
    private final class Answer: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let text: String

        init(_ text: String) {
            self.text = text
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let channel = context.channel
            channel.writeAndFlush(ByteBuffer(string: text)).whenComplete { _ in channel.close(promise: nil) }
        }
    }

    /// Forwards bytes, and reads on after it has written the last ones, so that the slower side
    /// sets the pace.
    private final class Pipe: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let link: Link
        private let other: any Channel

        init(_ link: Link, to other: any Channel) {
            (self.link, self.other) = (link, other)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let channel = context.channel
            let link = link
            other.writeAndFlush(unwrapInboundIn(data)).whenComplete { result in
                guard case .success = result else { return channel.close(promise: nil) }
                if link.mayPass { channel.read() }
            }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if let event = event as? ChannelEvent, event == .inputClosed { other.close(mode: .output, promise: nil) }
            context.fireUserInboundEventTriggered(event)
        }

        func channelInactive(context: ChannelHandlerContext) {
            other.close(promise: nil)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }
}
