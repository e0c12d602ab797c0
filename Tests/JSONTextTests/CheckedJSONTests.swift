import Foundation
import JSONText
import NIOCore
import Testing

@Suite("Checked JSON")
struct CheckedJSONTests {
    static func accepts(_ bytes: [UInt8]) -> Bool {
        (try? CheckedJSON(parsing: ByteBuffer(bytes: bytes))) != nil
    }

    static func foundation(_ bytes: [UInt8]) -> Any? {
        try? JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
    }

    @Test(
        "Valid JSON is taken as it is",
        arguments: [
            "null", "true", "false", "0", "-0", "-1.5e+10", "1E400", "123456789012345678901234567890", "\"\"", "\"\\ud83d\\ude00\"", "[]",
            "{}",
            "[[],{}]", "{\"a\":1,\"a\":2}", "\"\u{7F}\u{2028}\"", "{\"\":[null]}",
        ])
    func takesAsItIs(text: String) throws {
        #expect(try CheckedJSON(parsing: ByteBuffer(string: text)).text == text)
    }

    @Test(
        "An error names the first wrong byte",
        arguments: [
            ("", 0), (" ", 1), ("nul", 3), ("nulL", 3), ("True", 0), ("NaN", 0), ("-", 1), ("01", 1), ("1.", 2), (".5", 0), ("1e", 2),
            ("+1", 0),
            ("-Infinity", 1), ("[1,]", 3), ("[,1]", 1), ("[1 2]", 3), ("[", 1), ("{", 1), ("{\"a\":1,}", 7), ("{\"a\"}", 4),
            ("{\"a\":}", 5),
            ("{a:1}", 1), ("[1}", 2), ("{\"a\":1]", 6), ("]", 0), ("\"", 1), ("\"\\", 2), ("\"\\x\"", 2), ("\"\\u12g4\"", 2), ("\"\n\"", 1),
            ("\"\\ud800\"", 2), ("\"\\udc00\"", 2), ("\"\\ud800\\u0041\"", 2), ("\"\\ud800\\ud800\"", 2), ("1 2", 2), ("{} {}", 3),
            ("\u{FEFF}{}", 0), ("/**/1", 0), ("'a'", 0),
        ])
    func rejectsAtTheFirstWrongByte(text: String, offset: Int) {
        #expect(
            throws: JSONError.self,
            performing: {
                do throws(JSONError) {
                    _ = try CheckedJSON(parsing: ByteBuffer(string: text))
                } catch {
                    #expect(error.offset == offset, "\(text): \(error)")
                    throw error
                }
            })
    }

    @Test(
        "Bytes that are not UTF-8 are rejected",
        arguments: [
            [0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xC2], [0xE0, 0x9F, 0xBF], [0xE2, 0x80], [0xED, 0xA0, 0x80], [0xF0, 0x8F, 0xBF, 0xBF],
            [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFF], [0xE2, 0x80, 0x41],
        ] as [[UInt8]]
    )
    func rejectsWhatIsNotUTF8(bytes: [UInt8]) {
        #expect(!Self.accepts([0x22] + bytes + [0x22]))
        #expect(!Self.accepts([0x22] + bytes))
        #expect(!Self.accepts(bytes))
    }

    @Test("Every Unicode scalar is accepted as String does")
    func acceptsEveryUnicodeScalarAsStringDoes() {
        var bytes: [UInt8] = [0x22]
        for value in stride(from: UInt32(0x20), through: 0x10FFFF, by: 7) {
            guard let scalar = Unicode.Scalar(value), scalar != "\"", scalar != "\\" else { continue }
            bytes += Array(Character(scalar).utf8)
        }
        bytes.append(0x22)
        #expect(Self.accepts(bytes))
    }

    @Test("Depth is bounded without recursion")
    func boundsDepthWithoutRecursion() throws {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let inner = open == "[" ? "" : "0"
            let atLimit = String(repeating: open, count: 128) + inner + String(repeating: close, count: 128)
            #expect(try CheckedJSON(parsing: ByteBuffer(string: atLimit)).text == atLimit)
            for depth in [129, 10_000, 1_000_000] {
                let text = String(repeating: open, count: depth) + inner + String(repeating: close, count: depth)
                #expect(throws: JSONError("nested deeper than 128", offset: open.utf8.count * 128)) {
                    try CheckedJSON(parsing: ByteBuffer(string: text), maxDepth: .max)
                }
            }
        }
        #expect(throws: JSONError("nested deeper than 0", offset: 0)) { try CheckedJSON(parsing: ByteBuffer(string: "[]"), maxDepth: -1) }
        #expect(try CheckedJSON(parsing: ByteBuffer(string: "7"), maxDepth: 0).kind == .number)
    }

    @Test("Mixed nesting is matched at every depth")
    func mixedNestingIsMatchedAtEveryDepth() {
        var random = RandomJSON(seed: 5)
        for depth in 1...128 {
            let kinds = (0..<depth).map { _ in Bool.random(using: &random.random) }
            let opening = kinds.map { $0 ? "{\"k\":" : "[" }.joined()
            let closing = kinds.reversed().map { $0 ? "}" : "]" }
            #expect(Self.accepts(Array((opening + "1" + closing.joined()).utf8)))
            var wrong = closing
            let position = depth - 1
            wrong[position] = wrong[position] == "}" ? "]" : "}"
            #expect(!Self.accepts(Array((opening + "1" + wrong.joined()).utf8)))
        }
    }

    @Test("Whitespace is removed outside strings only")
    func removesWhitespaceOutsideOfStringsOnly() throws {
        let text = " \n{ \"a b\" : [ 1 , \"\\\" \\\\\" , { } ] ,\t\"c\":\r\nnull } "
        #expect(try CheckedJSON(parsing: ByteBuffer(string: text)).text == "{\"a b\":[1,\"\\\" \\\\\",{}],\"c\":null}")
    }

    @Test("Offsets count from the reader index")
    func countsOffsetsFromTheReaderIndex() {
        var buffer = ByteBuffer(string: "garbage[1 2]")
        buffer.moveReaderIndex(forwardBy: 7)
        #expect(throws: JSONError("neither a comma nor the array's end", offset: 3)) { try CheckedJSON(parsing: buffer) }
    }

    /// Returns whether Foundation and this parser may differ. Foundation refuses numbers beyond
    /// Double, which this parser passes on as text. Foundation accepts a comma before a bracket,
    /// which RFC 8259 forbids.
    static func mayDiffer(_ bytes: [UInt8]) -> Bool {
        String(decoding: bytes, as: UTF8.self).contains(/[eE][+-]?\d{3,}|,[ \n\r\t]*[\]}]/)
    }

    @Test("Random documents are accepted as by Foundation", arguments: 0..<8)
    func agreesWithFoundationOnRandomDocuments(seed: Int) throws {
        var random = RandomJSON(seed: UInt64(seed))
        for _ in 0..<400 {
            let document = random.document()
            let expected = try #require(Self.foundation(Array(document.utf8)), "\(document)")
            let text = try CheckedJSON(parsing: ByteBuffer(string: document))
            let again = try #require(Self.foundation(Array(buffer: text.buffer)), "\(text.text)")
            #expect((expected as? NSObject) == (again as? NSObject))
        }
    }

    @Test("Broken documents are rejected as by Foundation", arguments: 0..<8)
    func agreesWithFoundationOnBrokenDocuments(seed: Int) {
        var random = RandomJSON(seed: UInt64(seed) + 100)
        var rejected = 0
        for _ in 0..<4_000 {
            let bytes = random.mutated(Array(random.document().utf8))
            guard !Self.mayDiffer(bytes) else { continue }
            let ours = Self.accepts(bytes)
            let theirs = Self.foundation(bytes) != nil
            #expect(ours == theirs, "\(bytes.count): \(String(decoding: bytes, as: UTF8.self).debugDescription) \(bytes)")
            if !ours { rejected += 1 }
        }
        #expect(rejected > 1_000)
    }
}
