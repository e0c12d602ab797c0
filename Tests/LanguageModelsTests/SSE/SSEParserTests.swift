import NIOCore
import TestSupport
import Testing

@testable import LanguageModels

@Suite("SSE parser")
struct SSEParserTests {
    /// Parses the whole text at once, character by character, by the standard's wording: slowly and
    /// plainly.
    static func reference(_ bytes: [UInt8]) -> [SSEEvent] {
        var text = bytes
        if text.starts(with: [0xEF, 0xBB, 0xBF]) { text.removeFirst(3) }
        var lines: [[UInt8]] = []
        var line: [UInt8] = []
        var index = 0
        while index < text.count {
            if text[index] == 13 || text[index] == 10 {
                if text[index] == 13, index + 1 < text.count, text[index + 1] == 10 { index += 1 }
                lines.append(line)
                line = []
            } else {
                line.append(text[index])
            }
            index += 1
        }
        var events: [SSEEvent] = []
        var data: [UInt8] = []
        var hasData = false
        var type = ""
        for line in lines {
            if line.isEmpty {
                if hasData { events.append(SSEEvent(name: type.isEmpty ? "message" : type, data: ByteBuffer(bytes: data.dropLast()))) }
                (data, hasData, type) = ([], false, "")
                continue
            }
            if line.first == 58 { continue }
            var field = line
            var value: [UInt8] = []
            if let colon = line.firstIndex(of: 58) {
                field = Array(line[..<colon])
                value = Array(line[(colon + 1)...])
                if value.first == 32 { value.removeFirst() }
            }
            if field == Array("data".utf8) {
                data += value + [10]
                hasData = true
            } else if field == Array("event".utf8) {
                type = String(decoding: value, as: UTF8.self)
            }
        }
        return events
    }

    static func parse(_ chunks: [ArraySlice<UInt8>], maxEventBytes: Int = 1 << 20) throws -> [SSEEvent] {
        var parser = SSEParser(maxEventBytes: maxEventBytes)
        var events: [SSEEvent] = []
        for chunk in chunks {
            parser.append(ByteBuffer(bytes: chunk))
            while let event = try parser.next() { events.append(event) }
        }
        return events
    }

    static let streams = [
        "data: a\n\n", "data:a\n\ndata: b\n\n", "event: x\ndata: 1\ndata: 2\n\n", ": comment\n\ndata\n\ndata:\ndata:\n\n",
        "\u{FEFF}data: bom\n\n", "data: \u{FEFF}inner\n\n", "event: lost\n\ndata: plain\n\n", "id: 7\nretry: 10\ndata: {\"a\":\"ü日😀\"}\n\n",
        "data: unfinished\n\ndata: dropped", "data:  two spaces \n\n", "datax: no\n data: no\ndata: yes\n\n", "\n\n\ndata: late\n\n\n\n",
        "event:\ndata: default\n\n", "data: a:b:c\n\n", "data: x\nevent: after\n\n",
    ]

    @Test("A stream parses the same at every split position", arguments: streams, ["\n", "\r\n", "\r"])
    func readsTheSameAtEverySplitPosition(stream: String, lineEnd: String) throws {
        let bytes = Array(stream.replacing("\n", with: lineEnd).utf8)
        let expected = Self.reference(bytes)
        #expect(try Self.parse([bytes[...]]) == expected)
        #expect(try Self.parse(bytes.indices.map { bytes[$0...$0] }) == expected)
        for first in 0...bytes.count {
            #expect(try Self.parse([bytes[..<first], bytes[first...]]) == expected)
            for second in stride(from: first, through: bytes.count, by: 3) {
                #expect(try Self.parse([bytes[..<first], bytes[first..<second], [], bytes[second...]]) == expected)
            }
        }
    }

    @Test("Random streams parse as in the reference parser", arguments: 0..<8)
    func agreesWithTheReferenceOnRandomStreams(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let words = ["data", "event", ":", ": ", " ", "\n", "\r", "\r\n", "\n\n", "x", "é", "\u{FEFF}", "data: ", "id: 1"]
        for _ in 0..<500 {
            let bytes = Array(
                (0..<Int.random(in: 0..<30, using: &random)).map { _ in words.randomElement(using: &random) ?? "" }.joined().utf8)
            var chunks: [ArraySlice<UInt8>] = []
            var position = 0
            while position < bytes.count {
                let end = min(bytes.count, position + Int.random(in: 1...6, using: &random))
                chunks.append(bytes[position..<end])
                position = end
            }
            #expect(try Self.parse(chunks) == Self.reference(bytes), "\(String(decoding: bytes, as: UTF8.self).debugDescription)")
        }
    }

    @Test("Lines and events are bounded")
    func boundsLinesAndEvents() throws {
        let line = Array("data: 0123456789".utf8)
        #expect(try Self.parse([line[...], [10, 10]], maxEventBytes: line.count).count == 1)
        #expect(throws: SSEEventTooLarge(limit: line.count - 1)) { try Self.parse([line[...]], maxEventBytes: line.count - 1) }
        let endless = Array((": " + String(repeating: "x", count: 100)).utf8)
        #expect(throws: SSEEventTooLarge(limit: 64)) { try Self.parse(endless.map { [$0] }, maxEventBytes: 64) }
        let many = Array(String(repeating: "data: 0123456789\n", count: 10).utf8)
        #expect(throws: SSEEventTooLarge(limit: 64)) { try Self.parse([many[...]], maxEventBytes: 64) }
    }

    @Test("An event inside one chunk is not copied")
    func doesNotCopyAnEventThatLiesInOneChunk() throws {
        let chunk = ByteBuffer(string: "data: 0123456789\n\n")
        var parser = SSEParser(maxEventBytes: 1_000)
        parser.append(chunk)
        let event = try #require(try parser.next())
        let original = chunk.withUnsafeReadableBytes { UInt(bitPattern: $0.baseAddress) }
        let found = event.data.withUnsafeReadableBytes { UInt(bitPattern: $0.baseAddress) }
        #expect(found == original + 6)
    }
}
