import AsyncHTTPClient
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import LanguageModels

@Suite("Flushes of requests to the model")
struct RequestFlushCoalescerTests {
    /// Records each flush with the writes before it.
    private final class Flushes: ChannelOutboundHandler {
        typealias OutboundIn = HTTPClientRequestPart
        typealias OutboundOut = HTTPClientRequestPart
        var written: [String] = []
        var flushed: [[String]] = []

        func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
            switch unwrapOutboundIn(data) {
            case .head: written.append("head")
            case .body: written.append("body")
            case .end: written.append("end")
            }
            context.write(data, promise: promise)
        }

        func flush(context: ChannelHandlerContext) {
            flushed.append(written)
            written = []
            context.flush()
        }
    }

    private let flushes = Flushes()
    private let channel = EmbeddedChannel()
    private let head = HTTPClientRequestPart.head(HTTPRequestHead(version: .http1_1, method: .POST, uri: "/"))
    private let body = HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(string: "{}")))

    init() throws {
        try channel.pipeline.syncOperations.addHandlers([flushes, RequestFlushCoalescer()])
    }

    @Test("A head is flushed together with its body")
    func aHeadGoesWithItsBody() throws {
        for _ in 0..<3 {
            flushes.flushed = []
            channel.writeAndFlush(head, promise: nil)
            #expect(flushes.flushed.isEmpty)
            channel.writeAndFlush(body, promise: nil)
            channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
            channel.embeddedEventLoop.run()
            #expect(flushes.flushed == [["head", "body"], ["end"]])
        }
    }

    @Test("A head without a body is flushed in the same turn of the event loop")
    func aHeadWithoutABodyGoesInTheSameTurnOfTheLoop() throws {
        channel.writeAndFlush(head, promise: nil)
        #expect(flushes.flushed.isEmpty)
        channel.embeddedEventLoop.run()
        #expect(flushes.flushed == [["head"]])
        // A body that arrives later is flushed separately.
        channel.writeAndFlush(body, promise: nil)
        #expect(flushes.flushed == [["head"], ["body"]])
    }

    @Test("A whole request is flushed at once")
    func aRequestThatIsWrittenWholeIsFlushedAtOnce() throws {
        channel.write(head, promise: nil)
        channel.write(HTTPClientRequestPart.end(nil), promise: nil)
        channel.flush()
        #expect(flushes.flushed == [["head", "end"]])
        channel.embeddedEventLoop.run()
        #expect(flushes.flushed.count == 1)
    }

    @Test("A connection that closes meanwhile is not flushed")
    func aConnectionThatClosesMeanwhileIsLeftAlone() throws {
        channel.writeAndFlush(head, promise: nil)
        channel.close(promise: nil)
        channel.embeddedEventLoop.run()
        #expect(throws: Never.self) { try channel.throwIfErrorCaught() }
    }
}
