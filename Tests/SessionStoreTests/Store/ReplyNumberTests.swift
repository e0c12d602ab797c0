import NIOCore
import TestSupport
import Testing

@testable import RedisClient
@testable import SessionStore

@Suite("Numbers in replies")
struct ReplyNumberTests {
    private func reply(_ text: String) throws -> RedisReply {
        let decoder = try RedisReplyDecoder(maxBytes: 1 << 20, maxNodes: 1)
        try decoder.feed(ByteBuffer(string: "$\(text.utf8.count)\r\n\(text)\r\n"))
        return try #require(try decoder.next())
    }

    @Test("A session's field is a number or damaged")
    func aFieldOfASessionIsANumberOrDamaged() throws {
        #expect(try RedisReply?.none.number(in: "f") == 0)
        #expect(try RedisReply?.some(RedisReply(resp: "$-1")).number(in: "f") == 0)
        #expect(try RedisReply?.some(reply("")).number(in: "f") == 0)
        #expect(try RedisReply?.some(reply("12")).number(in: "f") == 12)
        for text in ["x", "1.5", " 1", "9007199254740993", "9223372036854775808"] {
            let reply: RedisReply? = try reply(text)
            #expect { try reply.number(in: "f") } throws: { ($0 as? StoreError)?.code == .damaged }
        }
    }
}
