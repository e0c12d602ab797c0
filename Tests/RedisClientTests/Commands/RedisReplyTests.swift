import NIOCore
import TestSupport
import Testing

@testable import RedisClient

@Suite("Replies")
struct RedisReplyTests {
    static func reply(_ plain: PlainReply) throws -> RedisReply {
        let decoder = try RedisReplyDecoder(maxBytes: 32 << 20, maxNodes: 1 << 20)
        try decoder.feed(ByteBuffer(bytes: plain.bytes))
        return try #require(try decoder.next())
    }

    @Test("Elements before and after nested arrays are found")
    func findsElementsBeforeAndAfterNestedArrays() throws {
        let reply = try Self.reply(
            .array([
                .integer(1), .array([.string([97]), .array([.integer(2), .array([])]), .null]), .status("OK"), .array([]), .error("ERR e"),
            ]))
        #expect(reply.count == 5)
        #expect(reply[0]?.integer == 1)
        #expect(reply[1]?[0]?.string == "a")
        #expect(reply[1]?[1]?[0]?.integer == 2)
        #expect(reply[1]?[1]?[1]?.count == 0)
        #expect(reply[1]?[2]?.isNull == true)
        #expect(reply[2]?.string == "OK")
        #expect(reply[3]?.kind == .array)
        #expect(reply[4]?.errorMessage == "ERR e")
        // An error inside an array is an error of that element, not of the reply.
        #expect(reply.errorMessage == nil)
        var kinds: [RedisReply.Kind] = []
        reply.forEachElement { kinds.append($0.kind) }
        #expect(kinds == [.integer, .array, .status, .array, .error])
    }

    @Test("Indices out of range are nil")
    func indicesOutOfRangeAreNil() throws {
        for plain in [PlainReply.array([.integer(1), .integer(2)]), .array([.array([.integer(1)]), .integer(2)]), .array([])] {
            let reply = try Self.reply(plain)
            for index in [-1, .min, reply.count, reply.count + 1, .max] { #expect(reply[index] == nil) }
        }
        // An index of an inner array does not reach the elements after that array.
        let inner = try #require(try Self.reply(.array([.array([.integer(1)]), .integer(2)]))[0])
        #expect(inner.count == 1 && inner[0]?.integer == 1 && inner[1] == nil)
        for plain in [PlainReply.string([97]), .integer(3), .null, .status("OK"), .error("E")] {
            let reply = try Self.reply(plain)
            #expect(reply.count == 0 && reply[0] == nil)
            reply.forEachElement { _ in Issue.record("no array has no elements") }
        }
    }

    @Test("A string that is not UTF-8 is repaired as text and kept as bytes")
    func aStringThatIsNotUTF8IsRepairedAsTextAndKeptAsBytes() throws {
        let reply = try Self.reply(.string([0x61, 0xFF, 0x00, 0x62]))
        #expect(reply.string == "a\u{FFFD}\0b")
        #expect(reply.buffer == ByteBuffer(bytes: [0x61, 0xFF, 0x00, 0x62]))
    }

    @Test("The description is bounded")
    func describesItselfWithinBounds() throws {
        #expect(try "\(Self.reply(.string(Array("secret".utf8))))" == "a string of 6 bytes")
        #expect(try "\(Self.reply(.integer(-7)))" == "-7")
        #expect(try "\(Self.reply(.null))" == "nothing")
        #expect(try "\(Self.reply(.status("OK")))" == "OK")
        #expect(try "\(Self.reply(.array([])))" == "an array of 0")
        #expect(try "\(Self.reply(.array([.string(Array("busy".utf8)), .integer(1)])))" == "an array of 2, the first “busy”")
        // A character may consist of any number of bytes, so that the limit counts bytes.
        for long in [String(repeating: "x", count: 100_000), "e" + String(repeating: "\u{301}", count: 100_000)] {
            for plain in [PlainReply.status(long), .error(long), .string(Array(long.utf8)), .array([.string(Array(long.utf8))])] {
                #expect("\(try Self.reply(plain))".utf8.count < 300)
            }
            #expect(RedisError(reply: long).message.utf8.count < 600)
            #expect("\(RedisError(reply: "ERR " + long))".utf8.count < 600)
        }
    }

    /// If access took quadratic time, this test would take minutes.
    @Test("A long flat array is read by index in constant time")
    func readsALongFlatArrayByIndex() throws {
        let reply = try Self.reply(.array((0..<100_000).map { .integer(Int64($0)) }))
        var sum: Int64 = 0
        for index in 0..<reply.count { sum += reply[index]?.integer ?? 0 }
        #expect(sum == 4_999_950_000)
    }

    /// A sum of accepted numbers cannot overflow.
    @Test("Numbers out of a session's range are not numbers")
    func numbersThatNoSessionHasAreNone() throws {
        let limit: Int64 = 1 << 53
        for number in [0, -1, limit, -limit] {
            #expect(try Self.reply(.integer(number)).integer == number)
            #expect(try Self.reply(.string(Array("\(number)".utf8))).integerValue == number)
        }
        for number in [limit + 1, -limit - 1, .max, .min] {
            #expect(try Self.reply(.integer(number)).integer == nil)
            #expect(try Self.reply(.string(Array("\(number)".utf8))).integerValue == nil)
        }
        func time(_ parts: Int64...) throws -> Int64? {
            try Self.reply(.array(parts.map { .string(Array("\($0)".utf8)) })).time
        }
        #expect(try time(1_700_000_000, 123_456) == 1_700_000_000_123)
        #expect(try time(limit / 1000 - 1, 0) == (limit / 1000 - 1) * 1000)
        for parts in [(limit, limit), (-limit, limit), (-1, 0), (limit / 1000 + 1, 0)] { #expect(try time(parts.0, parts.1) == nil) }
        #expect(try time(1) == nil)
    }
}
