import Locks
import NIOCore
import NIOPosix

#if canImport(Glibc)
import Glibc
#endif

/// A connection on which a test sends arbitrary bytes.
public final class RawHTTP: Sendable {
    private let channel: any Channel
    private let collector: Collector

    private init(channel: any Channel, collector: Collector) {
        self.channel = channel
        self.collector = collector
    }

    /// - Parameters:
    ///   - host: The server's host: `localhost` for a server in the test's own process.
    ///   - reads: False for a client that never reads.
    public static func connect(host: String = "127.0.0.1", port: Int, reads: Bool = true) async throws -> RawHTTP {
        let collector = Collector()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.allowRemoteHalfClosure, value: false)
            .channelOption(.autoRead, value: reads)
            .channelOption(.socketOption(.so_rcvbuf), value: reads ? 1 << 18 : 4096)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Reader(collector)) }
            }
            .connect(host: host, port: port).get()
        return RawHTTP(channel: channel, collector: collector)
    }

    public var received: String { collector.text.withLock { $0 } }

    public func send(_ text: String) async throws {
        try await channel.writeAndFlush(ByteBuffer(string: text)).get()
    }

    public func finishSending() async throws {
        try await channel.close(mode: .output).get()
    }

    /// Closes the connection. With `reset`, it closes like a process that ends with unread bytes.
    public func leave(reset: Bool) async throws {
        if reset { try await (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get() }
        try await channel.close().get()
    }

    /// Begins to read, for a client that was opened without reading.
    public func startReading() {
        // With the former small buffer, the waiting bytes would arrive in many small parts.
        channel.setOption(.socketOption(.so_rcvbuf), value: 1 << 20).flatMap { self.channel.setOption(.autoRead, value: true) }
            .whenSuccess { self.channel.read() }
    }

    public func close() {
        channel.close(promise: nil)
    }

    /// Returns the bytes that arrived until the server closed the connection.
    public func everything() async throws -> String {
        try await channel.closeFuture.get()
        return received
    }

    final class Collector: Sendable {
        let text = Guarded("")
    }

    private final class Reader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let collector: Collector

        init(_ collector: Collector) {
            self.collector = collector
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let text = String(buffer: unwrapInboundIn(data))
            collector.text.withLock { $0 += text }
        }
    }
}
