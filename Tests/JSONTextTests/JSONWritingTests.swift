import Foundation
import JSONText
import NIOCore
import Testing

@Suite("Writing JSON")
struct JSONWritingTests {
    static func written(_ string: String) -> String {
        var buffer = ByteBuffer()
        let count = buffer.writeJSONString(string)
        #expect(count == buffer.readableBytes)
        return String(buffer: buffer)
    }

    @Test("Required characters are escaped")
    func escapesWhatHasToBeEscaped() {
        #expect(Self.written("") == "\"\"")
        #expect(Self.written("a\"b\\c/d") == "\"a\\\"b\\\\c/d\"")
        #expect(Self.written("\u{8}\t\n\u{C}\r\u{0}\u{1F}\u{1}") == #""\b\t\n\f\r\u0000\u001f\u0001""#)
        #expect(Self.written("x\u{2028}\u{2029}\u{85}y") == #""x\u2028\u2029\u0085y""#)
        #expect(Self.written("é€日😀\u{7F}\u{86}\u{2027}\u{202A}") == "\"é€日😀\u{7F}\u{86}\u{2027}\u{202A}\"")
    }

    @Test("Characters are escaped at every position of a machine word")
    func escapesAtEveryPositionOfAWord() throws {
        for special in ["\"", "\\", "\n", "\u{2028}", "\u{85}", "\u{0}", "é", "\u{86}"] {
            for before in 0..<20 {
                for after in [0, 1, 7, 8, 9] {
                    let text = String(repeating: "a", count: before) + special + String(repeating: "z", count: after)
                    let json = Self.written(text)
                    #expect(!json.unicodeScalars.contains { $0.value < 0x20 || [0x85, 0x2028, 0x2029].contains($0.value) })
                    #expect(try JSONSlice(parsing: ByteBuffer(string: json)).string == text)
                }
            }
        }
    }

    @Test("Written strings read back unchanged", arguments: 0..<4)
    func stringsComeBack(seed: Int) throws {
        var random = RandomJSON(seed: UInt64(seed) + 2_000)
        for _ in 0..<500 {
            var text = ""
            for _ in 0..<Int.random(in: 0..<40, using: &random.random) {
                let bound: UInt32 = [0x80, 0x100, 0x3000, 0x11_0000].randomElement(using: &random.random) ?? 0x80
                if let scalar = Unicode.Scalar(UInt32.random(in: 0..<bound, using: &random.random)) { text.unicodeScalars.append(scalar) }
            }
            let json = Self.written(text)
            let foundation = try JSONSerialization.jsonObject(with: Data(json.utf8), options: .fragmentsAllowed)
            #expect(foundation as? String == text)
            #expect(try JSONSlice(parsing: ByteBuffer(string: json)).string == text)
            #expect(CheckedJSON(string: text).text == json)
        }
    }

    @Test("Bytes that are not UTF-8 are replaced")
    func bytesThatAreNotUTF8AreReplaced() throws {
        var buffer = ByteBuffer()
        buffer.writeJSONString(bytes: ByteBuffer(bytes: [0x61, 0xFF, 0x62, 0xE2, 0x80]))
        #expect(try JSONSlice(parsing: buffer).string == "a\u{FFFD}b\u{FFFD}")
        buffer.clear()
        buffer.writeJSONString(bytes: ByteBuffer(string: "plain\n"))
        #expect(String(buffer: buffer) == "\"plain\\n\"")
    }

    @Test("Raw JSON becomes one line", arguments: 0..<4)
    func rawJSONBecomesOneLine(seed: Int) throws {
        var random = RandomJSON(seed: UInt64(seed) + 3_000)
        for _ in 0..<300 {
            let document = random.document()
            var buffer = ByteBuffer()
            let count = buffer.writeSSESafeJSON(ByteBuffer(string: document))
            #expect(count == buffer.readableBytes)
            let safe = String(buffer: buffer)
            #expect(!safe.unicodeScalars.contains { $0.value < 0x20 || [0x85, 0x2028, 0x2029].contains($0.value) })
            let expected = try JSONSerialization.jsonObject(with: Data(document.utf8), options: .fragmentsAllowed)
            let found = try JSONSerialization.jsonObject(with: Data(safe.utf8), options: .fragmentsAllowed)
            #expect((found as? NSObject) == (expected as? NSObject))
        }
    }

    @Test("Text without separators is copied byte for byte")
    func textWithoutSeparatorsIsCopiedByteForByte() {
        let text = "{\"a\":\"é\\u2028€\u{2030}\u{86}\",\"n\":123456789012345678901234567890}"
        var buffer = ByteBuffer()
        buffer.writeSSESafeJSON(ByteBuffer(string: text))
        #expect(String(buffer: buffer) == text)
    }
}
