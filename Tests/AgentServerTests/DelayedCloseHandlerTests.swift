import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTPTypes
import Testing

@testable import agent_server

@Suite("Closing after the last bytes are read")
struct DelayedCloseHandlerTests {
    private let channel: EmbeddedChannel

    /// The testing channel counts only bytes, so that this handler encodes parts.
    private final class Encoder: ChannelOutboundHandler {
        typealias OutboundIn = HTTPResponsePart
        typealias OutboundOut = ByteBuffer

        func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
            context.write(wrapOutboundOut(ByteBuffer(string: "part")), promise: promise)
        }
    }

    init() throws {
        channel = EmbeddedChannel(handlers: [Encoder(), DelayedCloseHandler(patience: .seconds(5))])
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    }

    private func answer() {
        channel.write(HTTPResponsePart.head(HTTPResponse(status: .ok)), promise: nil)
        channel.write(HTTPResponsePart.end(nil), promise: nil)
    }

    @Test("A connection without a pending response closes at once")
    func withoutAnAnswerItClosesAtOnce() throws {
        channel.close(promise: nil)
        channel.embeddedEventLoop.run()
        #expect(!channel.isActive)
    }

    @Test("A response that is fully written does not delay the close")
    func anAnswerThatIsWrittenHoldsUpNothing() throws {
        answer()
        channel.flush()
        channel.close(promise: nil)
        channel.embeddedEventLoop.run()
        #expect(!channel.isActive)
    }

    @Test("The close waits for bytes that are not written yet")
    func whatIsNotWrittenIsWaitedFor() throws {
        answer()
        let closed = channel.close()
        let again = channel.close()
        channel.embeddedEventLoop.run()
        #expect(channel.isActive)
        channel.flush()
        channel.embeddedEventLoop.run()
        #expect(!channel.isActive)
        try closed.wait()
        try again.wait()
    }

    @Test("The close waits only a bounded time for a client that takes nothing")
    func aClientThatTakesNothingIsNotWaitedForLong() throws {
        answer()
        let closed = channel.close()
        channel.embeddedEventLoop.advanceTime(by: .seconds(4))
        #expect(channel.isActive)
        channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(!channel.isActive)
        try closed.wait()
    }
}
