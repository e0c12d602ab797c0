import CHiredis
import NIOCore
import TestSupport
import Testing

@testable import RedisClient

@Suite("Decoding replies")
struct RedisReplyDecoderTests {
    static let values: [(text: String, reply: PlainReply)] = [
        ("$5\r\nhello\r\n", .string(Array("hello".utf8))), ("$0\r\n\r\n", .string([])), ("$-1\r\n", .null), ("*-1\r\n", .null),
        ("$4\r\n\r\n\0\r\r\n", .string([13, 10, 0, 13])), ("+OK\r\n", .status("OK")), ("+\r\n", .status("")),
        ("-ERR no such key\r\n", .error("ERR no such key")), ("-\r\n", .error("")), (":0\r\n", .integer(0)), (":-1\r\n", .integer(-1)),
        (":9223372036854775807\r\n", .integer(.max)), (":-9223372036854775808\r\n", .integer(.min)), ("*0\r\n", .array([])),
        ("*2\r\n:1\r\n+a\r\n", .array([.integer(1), .status("a")])),
        (
            "*4\r\n*0\r\n*2\r\n$1\r\na\r\n*1\r\n:7\r\n$-1\r\n-E x\r\n",
            .array([.array([]), .array([.string([97]), .array([.integer(7)])]), .null, .error("E x")])
        ),
    ]

    @Test("Every type of reply is read")
    func readsEveryTypeOfReply() throws {
        for (text, reply) in Self.values { #expect(try Decoding(text).replies == [reply], "\(text.debugDescription)") }
        #expect(try Decoding(Self.values.map(\.text).joined()).replies == Self.values.map(\.reply))
    }

    @Test("Replies read the same at every split position")
    func readsTheSameAtEverySplitPosition() throws {
        let bytes = Array(Self.values.map(\.text).joined().utf8)
        let expected = Self.values.map(\.reply)
        #expect(try Decoding(bytes.indices.map { bytes[$0...$0] }).replies == expected)
        for first in 0...bytes.count {
            #expect(try Decoding([bytes[..<first], bytes[first...]]).replies == expected)
            for second in stride(from: first, through: bytes.count, by: 17) {
                #expect(try Decoding([bytes[..<first], bytes[first..<second], [], bytes[second...]]).replies == expected)
            }
        }
    }

    @Test("Random replies read the same in random pieces", arguments: 0..<6)
    func readsRandomRepliesInRandomPieces(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for round in 0..<150 {
            let replies = (0..<Int.random(in: 1...6, using: &random)).map { _ in PlainReply.random(using: &random) }
            let bytes = replies.flatMap(\.bytes)
            let decoding = try Decoding(bytes.pieces(upTo: 12, using: &random))
            #expect(decoding.error == nil, "seed \(seed), round \(round)")
            #expect(decoding.replies == replies, "seed \(seed), round \(round)")
        }
    }

    @Test("Large strings and long arrays are read")
    func readsLargeStringsAndLongArrays() throws {
        var random = SeededGenerator(seed: 7)
        let large = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let reply = PlainReply.array([.string(large), .array((0..<3_000).map { .integer(Int64($0)) }), .string(large.dropLast())])
        let decoding = try Decoding(reply.bytes.pieces(upTo: 50_000, using: &random), maxBytes: 8 << 20)
        // `==` in `#expect` would print megabytes.
        #expect(decoding.error == nil && decoding.replies.count == 1 && decoding.replies.first == reply)
    }

    /// hiredis 0.14 accepts arrays up to eight levels deep. Deeper arrays must fail, not crash.
    @Test("Arrays are read as deep as hiredis reads them")
    func readsArraysAsDeepAsHiredisDoes() throws {
        func nested(_ depth: Int) -> PlainReply { depth == 0 ? .integer(5) : .array([nested(depth - 1)]) }
        for depth in 1...8 { #expect(try Decoding([nested(depth).bytes[...]]).replies == [nested(depth)], "depth \(depth)") }
        // The array is not the last element of its parent, so the decoder has to return to its
        // siblings.
        let wide = PlainReply.array([.integer(1), nested(6), .string([97]), nested(6), .null])
        #expect(try Decoding([wide.bytes[...]]).replies == [wide])
        for depth in [9, 10, 100, 10_000, 200_000] where HIREDIS_MAJOR == 0 {
            let text = String(repeating: "*1\r\n", count: depth) + ":5\r\n"
            #expect(try Decoding(text).error == .protocolViolation, "depth \(depth)")
            #expect(try Decoding("*2\r\n" + text).replies == [])
        }
    }

    @Test("An incomplete reply is not delivered")
    func aReplyThatIsNotWholeIsNoReplyYet() throws {
        for (text, _) in Self.values {
            let bytes = Array(text.utf8)
            for end in 0..<bytes.count {
                let decoding = try Decoding([bytes[..<end]])
                #expect(decoding.replies.isEmpty && decoding.error == nil, "\(text.debugDescription) up to \(end)")
            }
        }
        // The decoder keeps the elements that have arrived, and does not return them as a reply
        // yet.
        let decoder = try RedisReplyDecoder(maxBytes: 100, maxNodes: 100)
        try decoder.feed(ByteBuffer(string: "*3\r\n$1\r\na\r\n:1\r\n"))
        #expect(try decoder.next() == nil)
        #expect(try decoder.next() == nil)
        try decoder.feed(ByteBuffer(string: "+x\r\n"))
        let reply = try #require(try decoder.next())
        #expect(PlainReply(reply) == .array([.string([97]), .integer(1), .status("x")]))
    }

    /// A reply is a value: further decoding must not change it.
    @Test("A reply outlives its decoder")
    func aReplyOutlivesItsDecoder() throws {
        var decoder: RedisReplyDecoder? = try RedisReplyDecoder(maxBytes: 1_000, maxNodes: 100)
        try decoder?.feed(ByteBuffer(string: "$3\r\none\r\n$3\r\ntwo\r\n"))
        let one = try #require(try decoder?.next())
        let two = try #require(try decoder?.next())
        decoder = nil
        #expect(one.string == "one")
        #expect(two.string == "two")
    }
}

extension [UInt8] {
    /// Cuts the bytes into random pieces of 1 to `limit` bytes.
    func pieces(upTo limit: Int, using random: inout SeededGenerator) -> [ArraySlice<UInt8>] {
        var pieces: [ArraySlice<UInt8>] = []
        var position = 0
        while position < count {
            let end = Swift.min(count, position + Int.random(in: 1...limit, using: &random))
            pieces.append(self[position..<end])
            position = end
        }
        return pieces
    }
}
