import Locks
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import LanguageModels

@Suite("Receive buffers", .timeLimit(.minutes(1)))
struct ResponseReceiveAllocatorTests {
    /// Records the bytes of each read, and the memory that holds them.
    private final class Reads: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        struct Read {
            var bytes: Int
            var capacity: Int
        }
        let reads = Guarded<[Read]>([])
        var total: Int { reads.withLock { $0.reduce(0) { $0 + $1.bytes } } }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let buffer = unwrapInboundIn(data)
            reads.withLock { $0.append(Read(bytes: buffer.readableBytes, capacity: buffer.capacity)) }
        }
    }

    /// The result does not depend on the number of waiting bytes.
    @Test("The first read is small, and the large buffer is not kept")
    func whatIsThereFirstIsReadByItself() async throws {
        let (reads, group) = (Reads(), MultiThreadedEventLoopGroup.singleton)
        let sender = Guarded<(any Channel)?>(nil)
        let listener = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                sender.withLock { $0 = channel }
                return channel.eventLoop.makeSucceededVoidFuture()
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let client = try await ClientBootstrap(group: group)
            .channelOption(.autoRead, value: false)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try ResponseReceiveAllocator.set(on: channel)
                    try channel.pipeline.syncOperations.addHandler(reads)
                }
            }
            .connect(to: try #require(listener.localAddress)).get()
        try await eventually("both ends are there") { sender.withLock { $0 } != nil }
        let server = try #require(sender.withLock { $0 })

        for size in [20_000, 20_000, 300, 20_000] {
            reads.reads.withLock { $0 = [] }
            try await client.setOption(.autoRead, value: false).get()
            try await server.writeAndFlush(ByteBuffer(repeating: 0x78, count: size)).get()
            try await client.setOption(.autoRead, value: true).get()
            try await eventually("all is read") { reads.total == size }
            let seen = reads.reads.withLock { $0 }
            #expect(seen.first?.bytes == min(size, ResponseReceiveAllocator.small))
            #expect(seen.first?.capacity == ResponseReceiveAllocator.small)
            // Few reads suffice for the rest.
            #expect(seen.count <= 4, "\(seen)")
        }
        try await client.close()
        try await listener.close()
    }
}
