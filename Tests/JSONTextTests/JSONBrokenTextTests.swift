import NIOCore
import TestSupport
import Testing

@testable import JSONText

/// The server accepts such JSON from models only.
@Suite("JSON strings that are not Unicode", .tags(.search))
struct JSONBrokenTextTests {
    /// Returns `["…"]` with these bytes between the quotes.
    private static func list(_ bytes: [UInt8]) -> [UInt8] { Array("[\"".utf8) + bytes + Array("\"]".utf8) }

    static let broken: [(text: [UInt8], repaired: String)] = [
        (Array(#"{"a":"\ud83d"}"#.utf8), #"{"a":"\ufffd"}"#), (Array(#"["\uDE00 x"]"#.utf8), #"["\ufffd x"]"#),
        (Array(#"["\ud83d\ud83d\ude00"]"#.utf8), #"["\ufffd\ud83d\ude00"]"#),
        (Array(#"["\ud83dXX12de00"]"#.utf8), #"["\ufffdXX12de00"]"#), (Array(#"["\\ud83d\ud83d"]"#.utf8), #"["\\ud83d\ufffd"]"#),
        (Array(#"{"\ud83d":1}"#.utf8), #"{"\ufffd":1}"#), (list([0xF0, 0x9F, 0x20]), "[\"\u{FFFD} \"]"), (list([0xFF]), "[\"\u{FFFD}\"]"),
        (list([0xC3, 0x5C, 0x22]), "[\"\u{FFFD}\\\"\"]"),
    ]

    @Test("Broken text is repaired for models and refused for clients", arguments: broken)
    func itIsRepairedAndOtherwiseRefused(text: [UInt8], repaired: String) throws {
        let bytes = ByteBuffer(bytes: text)
        // The server still parses the JSON of clients strictly.
        #expect(throws: JSONError.self) { try CheckedJSON(parsing: bytes) }
        #expect(throws: JSONError.self) { try JSONSlice(parsing: bytes) }
        let whole = try CheckedJSON(repairing: bytes)
        #expect(whole.text == repaired)
        _ = try CheckedJSON(parsing: whole.buffer)
        _ = try JSON(parsing: whole.buffer)
    }

    @Test(
        "Text that is not JSON is not repaired",
        arguments: ["", "{", "[\"\\ud83d]", "[\"\\ud83\"]", "[\"\\x\"]", "[\"\u{1}\"]", "nonsense", "{} {}"]
    )
    func whatIsNoJSONIsNotRepaired(text: String) {
        #expect(throws: JSONError.self) { try CheckedJSON(repairing: ByteBuffer(string: text)) }
        #expect(throws: JSONError.self) { try JSONSlice(parsing: ByteBuffer(string: text), allowsBrokenText: true) }
    }

    @Test("Valid text stays as it is")
    func whatIsWholeStaysAsItIs() throws {
        let text = #"{"a":"\ud83d\ude00 é \u00e9 \\ud83d","n":12345678901234567890}"#
        #expect(try CheckedJSON(repairing: ByteBuffer(string: text)).text == text)
    }

    @Test(
        "Lone surrogates are three bytes",
        arguments: [
            (#""a\ud83d""#, [0x61, 0xED, 0xA0, 0xBD]), (#""\ude00b""#, [0xED, 0xB8, 0x80, 0x62]),
            (#""\ud83d\ude00""#, [0xF0, 0x9F, 0x98, 0x80]),
            (#""""#, []), (#""\n\"é""#, [0x0A, 0x22, 0xC3, 0xA9]),
        ] as [(String, [UInt8])]
    )
    func halvesOfPairsStandAsThreeBytes(literal: String, bytes: [UInt8]) throws {
        let slice = try JSONSlice(parsing: ByteBuffer(string: literal), allowsBrokenText: true)
        #expect(slice.brokenText.map { Array($0.readableBytesView) } == bytes)
        #expect(try JSONSlice(parsing: ByteBuffer(string: "7")).brokenText == nil)
    }

    @Test(
        "Values in a row are read one by one",
        arguments: [
            (#"{}{"a":1}"#, ["{}", #"{"a":1}"#]), (#" {"a": 1} "x" "#, [#"{"a":1}"#, #""x""#]), ("", []), (" ", []), (#"null"#, ["null"]),
            (#"["\ud83d"]"#, [#"["\ufffd"]"#]),
        ]
    )
    func valuesInARow(text: String, values: [String]) throws {
        #expect(try CheckedJSON.series(repairing: ByteBuffer(string: text), limit: 4).map(\.text) == values)
    }

    @Test("Text that is not a row of values is refused", arguments: ["{}{", "{}x", "{},{}", "{}{}{}{}{}", "nulltrue"])
    func whatIsNoRowOfValuesIsRefused(text: String) {
        #expect(throws: JSONError.self) { try CheckedJSON.series(repairing: ByteBuffer(string: text), limit: 4) }
    }

    /// The parser does not read beyond the end of the bytes.
    @Test("Repaired bytes are always JSON", arguments: 0..<4)
    func whateverIsRepairedIsJSON(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let pieces =
            [#"\ud83d"#, #"\ude00"#, #"\u0041"#, #"\\"#, #"\""#, "é", "😀", "a", "\u{7F}"].map { Array($0.utf8) } + [[0xFF], [0xC3], [0x80]]
        for _ in 0..<500 {
            let text = (0..<Int.random(in: 0...8, using: &random)).flatMap { _ in pieces.randomElement(using: &random) ?? [] }
            let json = ByteBuffer(bytes: Self.list(text))
            let repaired = try CheckedJSON(repairing: json)
            _ = try JSON(parsing: repaired.buffer)
            let slice = try JSONSlice(parsing: json, allowsBrokenText: true)
            #expect(Self.wholeCharacters(of: slice) == Self.wholeCharacters(of: repaired.value))
        }
    }

    private static func wholeCharacters(of list: JSONSlice) -> String? {
        for element in list.elements { return element.string?.filter { $0 != "\u{FFFD}" } }
        return nil
    }
}
