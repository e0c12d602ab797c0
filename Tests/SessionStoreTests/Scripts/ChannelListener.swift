import Locks
import NIOCore
import NIOPosix
import TestSupport

@testable import SessionStore

/// Subscribes to a channel on a separate connection, and collects the messages.
final class ChannelListener: Sendable {
    private final class Handler: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        let text = Guarded("")

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let part = String(buffer: unwrapInboundIn(data))
            text.withLock { $0 += part }
        }
    }

    private let handler = Handler()
    private let channel: any Channel

    init(_ name: String, on redis: RedisServer) async throws {
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { [handler] in $0.pipeline.addHandler(handler) }
            .connect(unixDomainSocketPath: redis.socket).get()
        try await channel.writeAndFlush(ByteBuffer(string: "SUBSCRIBE \(name)\r\n"))
        try await eventually("the subscription is there") { [handler] in handler.text.withLock { $0.contains(":1\r\n") } }
    }

    deinit { channel.close(promise: nil) }

    /// Returns the messages once `last` is among them.
    func heard(until last: String) async throws -> [String] {
        var messages: [String] = []
        try await eventually("\(last) is published") { [handler] in
            let lines = handler.text.withLock { $0 }.split(separator: "\r\n").map(String.init)
            messages = lines.indices.filter { lines[$0] == "message" }.compactMap { lines.indices.contains($0 + 4) ? lines[$0 + 4] : nil }
            return messages.contains(last)
        }
        return messages
    }
}
