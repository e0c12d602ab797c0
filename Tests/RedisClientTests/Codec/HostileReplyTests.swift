import Foundation
import NIOCore
import TestSupport
import Testing

@testable import RedisClient

/// Redis never sends these bytes, but any program may listen at Redis's address.
@Suite("Hostile replies", .tags(.search))
struct HostileReplyTests {
    /// RESP3's types, HTTP, TLS, lengths out of range, malformed numbers.
    @Test(
        "Bytes that are not a reply end in a lasting error",
        arguments: [
            "%1\r\n+a\r\n+b\r\n", "~1\r\n+a\r\n", ",1.5\r\n", "#t\r\n", "_\r\n", "=5\r\ntxt:a\r\n", "(12345\r\n", ">1\r\n+a\r\n",
            "|1\r\n+a\r\n+b\r\n",
            "!3\r\nERR\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "\u{15}\u{3}\u{1}\0\u{2}\u{2}", "\r\n", "\n", " +OK\r\n", "\0",
            "*2147483648\r\n", "*4294967296\r\n", "*9223372036854775807\r\n", "*9223372036854775808\r\n", "*18446744073709551617\r\n",
            "*-2\r\n",
            "*-9223372036854775808\r\n", "*\r\n", "*x\r\n", "*1x\r\n", "* 1\r\n", "*1.0\r\n", "$-2\r\n", "$-9223372036854775808\r\n",
            "$9223372036854775808\r\n", "$99999999999999999999999999\r\n", "$\r\n", "$a\r\n", "$ 1\r\nx\r\n", "$+\r\n", ":\r\n", ":x\r\n",
            ":1x\r\n",
            ":1.5\r\n", ":9223372036854775808\r\n", ":-9223372036854775809\r\n", ":99999999999999999999999999999999\r\n", ":-\r\n",
            ":--1\r\n",
        ]
    )
    func whatIsNoReplyEndsInAnErrorThatStays(text: String) throws {
        for input in [text, "+OK\r\n" + text, "*3\r\n:1\r\n" + text] {
            let whole = try Decoding(input)
            #expect(whole.error == .protocolViolation, "\(input.debugDescription)")
            #expect(whole.message?.contains("what is no reply") == true)
            #expect(whole.replies == (input.hasPrefix("+OK") ? [.status("OK")] : []))
            #expect(try Decoding(Array(input.utf8).map { [$0] }) == whole, "\(input.debugDescription)")
        }
    }

    @Test(
        "A claimed length takes no memory and meets the bound",
        arguments: ["*2147483647\r\n", "$2147483648\r\n", "$4294967296\r\n", "$9223372036854775807\r\n", "*100000000\r\n*100000000\r\n"]
    )
    func aClaimedLengthTakesNoMemoryAndRunsIntoTheBound(header: String) throws {
        let before = residentKiB()
        let claims = try (0..<200).map { _ in
            let decoder = try RedisReplyDecoder(maxBytes: 4_096, maxNodes: 100)
            try decoder.feed(ByteBuffer(string: header))
            #expect(try decoder.next() == nil)
            return decoder
        }
        #expect(residentKiB() - before < 100_000)
        for decoder in claims.prefix(3) {
            var sent = 0
            let error = #expect(throws: RedisError.self) {
                while sent < 10_000 {
                    try decoder.feed(ByteBuffer(string: ":1\r\n"))
                    _ = try decoder.next()
                    sent += 4
                }
            }
            #expect(error?.code == .protocolViolation)
            #expect(sent <= 4_096)
        }
    }

    @Test("The bytes of one reply are bounded")
    func boundsTheBytesOfOneReply() throws {
        let reply = "$92\r\n" + String(repeating: "x", count: 92) + "\r\n"
        let pieces = Array(reply.utf8).map { [$0][...] }
        #expect(reply.utf8.count == 99)
        #expect(try Decoding(reply, maxBytes: 99).replies.count == 1)
        #expect(try Decoding(pieces, maxBytes: 99).replies.count == 1)
        for decoding in [try Decoding(reply, maxBytes: 98), try Decoding(pieces, maxBytes: 98)] {
            #expect(decoding.error == .protocolViolation && decoding.replies.isEmpty)
            #expect(decoding.message == "a reply is larger than 98 bytes")
        }
        // The limit applies to each reply separately, not to the sum of many replies.
        #expect(try Decoding(Array(repeating: Array(reply.utf8)[...], count: 50), maxBytes: 99).replies.count == 50)
        #expect(try Decoding(Array(Array(repeating: pieces, count: 50).joined()), maxBytes: 99).replies.count == 50)
        // The limit also applies to a line without an end and to an array without an end.
        for endless in ["+" + String(repeating: "x", count: 500), "*1000000\r\n" + String(repeating: "$-1\r\n", count: 100)] {
            #expect(try Decoding(Array(endless.utf8).map { [$0] }, maxBytes: 200).message == "a reply is larger than 200 bytes")
        }
    }

    @Test("The values of one reply are bounded")
    func boundsTheValuesOfOneReply() throws {
        let flat = "*9\r\n" + String(repeating: ":1\r\n", count: 9)
        #expect(try Decoding(flat, maxNodes: 10).replies.count == 1)
        #expect(try Decoding(flat + flat + flat, maxNodes: 10).replies.count == 3)
        for (text, limit) in [
            (flat, 9), ("*3\r\n*0\r\n*0\r\n*0\r\n", 3), ("*2147483647\r\n" + String(repeating: "+\r\n", count: 500), 100),
        ] {
            let decoding = try Decoding(text, maxNodes: limit)
            #expect(decoding.error == .protocolViolation && decoding.replies.isEmpty)
            #expect(decoding.message == "a reply has more than \(limit) values")
        }
    }

    /// The input consists of valid replies with some changed bytes, and of the protocol's
    /// characters in any order.
    @Test("Random bytes end in the same replies or error at any split", arguments: 0..<8)
    func randomBytesEndInRepliesOrAnErrorHoweverTheyAreCut(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed + 100)
        var failures = 0
        for round in 0..<1_500 {
            // Gives other tests a chance to run, because they have deadlines.
            if round % 50 == 0 { await Task.yield() }
            let bytes = Self.hostile(using: &random)
            let whole = try Decoding([bytes[...]])
            func comment() -> Comment { "seed \(seed), round \(round): \(String(decoding: bytes, as: UTF8.self).debugDescription)" }
            #expect(whole.error == nil || whole.error == .protocolViolation, comment())
            #expect(try Decoding(bytes.pieces(upTo: 9, using: &random)) == whole, comment())
            if whole.error != nil { failures += 1 }
            let bounded = try Decoding(bytes.pieces(upTo: 9, using: &random), maxBytes: 60, maxNodes: 6)
            #expect(bounded.error == nil || bounded.error == .protocolViolation, comment())
            #expect(bounded.replies.allSatisfy { $0.nodeCount <= 6 }, comment())
            #expect(bounded.replies == Array(whole.replies.prefix(bounded.replies.count)), comment())
        }
        // Otherwise nearly all inputs would be valid, or nearly none.
        #expect((150...1_450).contains(failures), "seed \(seed)")
    }

    private static func hostile(using random: inout SeededGenerator) -> [UInt8] {
        if Int.random(in: 0..<5, using: &random) == 0 {
            let alphabet = Array("*$+-:0123456789\r\n\r\n\r\nx".utf8)
            return (0..<Int.random(in: 0...60, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? 0 }
        }
        var bytes = (0..<Int.random(in: 1...3, using: &random)).flatMap { _ in PlainReply.random(depth: 3, using: &random).bytes }
        for _ in 0..<Int.random(in: 0...3, using: &random) where !bytes.isEmpty {
            let place = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: bytes[place] = UInt8.random(in: .min ... .max, using: &random)
            case 1: bytes.remove(at: place)
            case 2: bytes.insert("*$+-:9\r\n".utf8.randomElement(using: &random) ?? 0, at: place)
            case 3: bytes.removeSubrange(place...)
            case 4: bytes.insert(contentsOf: bytes[place...].prefix(20), at: place)
            default: bytes.insert(contentsOf: "99999999".utf8.prefix(Int.random(in: 1...8, using: &random)), at: place)
            }
        }
        return bytes
    }

    private func residentKiB() -> Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        return status.firstMatch(of: /VmRSS:\s+([0-9]+) kB/).flatMap { Int($0.output.1) } ?? 0
    }
}
