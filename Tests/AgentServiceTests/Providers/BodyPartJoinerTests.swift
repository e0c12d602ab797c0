import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import AgentService

@Suite struct BodyPartJoinerTests {
    private static let head = HTTPClientResponsePart.head(HTTPResponseHead(version: .http1_1, status: .ok))

    private static func body(_ text: String) -> HTTPClientResponsePart { .body(ByteBuffer(string: text)) }

    /// What comes out after each read from the socket.
    private static func joined(_ reads: [HTTPClientResponsePart]...) throws -> [[HTTPClientResponsePart]] {
        let channel = EmbeddedChannel()
        try channel.pipeline.syncOperations.addHandler(BodyPartJoiner())
        defer { _ = try? channel.finish() }
        return try reads.map { parts in
            for part in parts { channel.pipeline.fireChannelRead(part) }
            channel.pipeline.fireChannelReadComplete()
            var out: [HTTPClientResponsePart] = []
            while let part = try channel.readInbound(as: HTTPClientResponsePart.self) { out.append(part) }
            return out
        }
    }

    @Test func partsOfOneReadAreOne() throws {
        let out = try Self.joined(
            [Self.head, Self.body("a"), Self.body("b"), Self.body("c")], [Self.body("d")], [Self.body("e"), .end(nil)])
        #expect(out == [[Self.head, Self.body("abc")], [Self.body("d")], [Self.body("e"), .end(nil)]])
    }

    @Test func nothingIsHandedOnBeforeWhatCameBefore() throws {
        let out = try Self.joined([Self.body("a"), Self.body("b"), .end(nil), Self.head, Self.body("c")])
        #expect(out == [[Self.body("ab"), .end(nil), Self.head, Self.body("c")]])
    }

    /// An answer that is cut off is still read as far as it came.
    @Test func whatWasReadGoesOnBeforeTheConnectionEnds() throws {
        let channel = EmbeddedChannel()
        try channel.pipeline.syncOperations.addHandler(BodyPartJoiner())
        channel.pipeline.fireChannelRead(Self.body("last"))
        channel.pipeline.fireErrorCaught(HTTPParserError.invalidEOFState)
        #expect(try channel.readInbound(as: HTTPClientResponsePart.self) == Self.body("last"))
        #expect(throws: HTTPParserError.self) { try channel.throwIfErrorCaught() }
        channel.pipeline.fireChannelRead(Self.body("end"))
        channel.pipeline.fireChannelInactive()
        #expect(try channel.readInbound(as: HTTPClientResponsePart.self) == Self.body("end"))
    }
}
