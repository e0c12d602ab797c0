import NIOCore
import TestSupport
import Testing

@testable import LanguageModels

@Suite("Bounds of the SSE parser")
struct SSEParserBoundsTests {
    @Test("A zero byte is an ordinary character")
    func aZeroByteIsACharacterLikeAnyOther() throws {
        let stream = Array("data: a\0b\n\nevent: e\0\ndata: c\n\nid: 1\0\ndata: d\n\n\0data: no\n\n".utf8)
        let events = try SSEParserTests.parse([stream[...]])
        #expect(
            events == [
                SSEEvent(name: "message", data: ByteBuffer(string: "a\0b")), SSEEvent(name: "e\0", data: ByteBuffer(string: "c")),
                SSEEvent(name: "message", data: ByteBuffer(string: "d")),
            ])
        #expect(events == SSEParserTests.reference(stream))
    }

    @Test("One byte order mark at the start is skipped")
    func onlyOneByteOrderMarkIsSkippedAndOnlyAtTheStart() throws {
        let twice = Array("\u{FEFF}\u{FEFF}data: a\n\ndata: b\n\n\u{FEFF}data: c\n\n".utf8)
        for length in [1, 2, 3, 4, 100] {
            let chunks = stride(from: 0, to: twice.count, by: length).map { twice[$0..<min($0 + length, twice.count)] }
            #expect(try SSEParserTests.parse(chunks).map { String(buffer: $0.data) } == ["b"])
        }
        // A part of a byte order mark does not count as one.
        #expect(
            try SSEParserTests.parse([[0xEF, 0xBB], Array("data: a\n\ndata: b\n\n".utf8)[...]]).map { String(buffer: $0.data) } == ["b"])
    }

    /// The time is linear in the line's length: the parser does not search a line from its
    /// beginning for every chunk.
    @Test("A long line in many chunks is scanned once")
    func aVeryLongLineInManyChunksIsReadOnce() throws {
        let length = 8 << 20
        let chunk = ByteBuffer(repeating: UInt8(ascii: "x"), count: 2048)
        var parser = SSEParser(maxEventBytes: length + 6)
        parser.append(ByteBuffer(string: "data: "))
        let begun = ContinuousClock.now
        for _ in 0..<(length / 2048) {
            parser.append(chunk)
            let event = try parser.next()
            if event != nil { Issue.record("an event without its end") }
        }
        parser.append(ByteBuffer(string: "\n\n"))
        let event = try parser.next()
        #expect(event?.data.readableBytes == length)
        // A search from the start at each chunk would take 2000 times as long.
        #expect(ContinuousClock.now - begun < .seconds(20))
    }

    @Test("A line of any kind is bounded before its end", arguments: ["data: ", "event: ", "unknown", ": "])
    func aLineOfAnyKindIsBoundedBeforeItsEnd(field: String) throws {
        var parser = SSEParser(maxEventBytes: 1000)
        parser.append(ByteBuffer(string: field + String(repeating: "x", count: 1000 - field.utf8.count)))
        let early = try parser.next()
        #expect(early == nil)
        parser.append(ByteBuffer(string: "x"))
        #expect(throws: SSEEventTooLarge(limit: 1000)) { try parser.next() }
        // The parser fails at every later call, so that no caller continues to read by accident.
        parser.append(ByteBuffer(string: "\n\ndata: ok\n\n"))
        #expect(throws: SSEEventTooLarge(limit: 1000)) { try parser.next() }
    }

    @Test("The data of one event is bounded, line feeds included")
    func theDataOfOneEventIsBoundedWithItsLineFeeds() throws {
        // Ten lines of nine bytes and nine line feeds.
        let event = Array((String(repeating: "data: 123456789\n", count: 10) + "\n").utf8)
        #expect(try SSEParserTests.parse([event[...]], maxEventBytes: 99).first?.data.readableBytes == 99)
        #expect(throws: SSEEventTooLarge(limit: 98)) { try SSEParserTests.parse([event[...]], maxEventBytes: 98) }
        // The limit applies to each event separately.
        let many = Array(repeating: event, count: 50).flatMap(\.self)
        #expect(try SSEParserTests.parse([many[...]], maxEventBytes: 99).count == 50)
    }

    @Test("Random bytes parse as in the reference parser", arguments: 0..<4)
    func randomBytesAgreeWithTheReference(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let alphabet: [UInt8] = Array("data:event \r\n\0".utf8) + [0xEF, 0xBB, 0xBF, 0xC3, 0xA9, 0xFF]
        for _ in 0..<300 {
            let bytes = (0..<Int.random(in: 0..<60, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? 0 }
            let cut = Int.random(in: 0...bytes.count, using: &random)
            #expect(try SSEParserTests.parse([bytes[..<cut], bytes[cut...]]) == SSEParserTests.reference(bytes), "seed \(seed): \(bytes)")
        }
    }
}
