import Foundation
import JSONText
import NIOCore
import Testing

@Suite("JSON slices")
struct JSONSliceTests {
    static func slice(_ text: String) throws -> JSONSlice { try JSONSlice(parsing: ByteBuffer(string: text)) }

    @Test("A slice reads objects and arrays")
    func looksIntoObjectsAndArrays() throws {
        let value = try Self.slice(" {\"a\" : [1, \"two\", {\"b\": null}] , \"c\":true} ")
        #expect(value.kind == .object)
        #expect(value.members.map(\.key.string) == ["a", "c"])
        let array = try #require(value["a"])
        #expect(array.elements.map(\.kind) == [.number, .string, .object])
        #expect(array.elements.map { String(buffer: $0.raw) } == ["1", "\"two\"", "{\"b\": null}"])
        #expect(Array(array.elements).last?["b"]?.isNull == true)
        #expect(value["c"]?.bool == true)
        #expect(value["d"] == nil)
        #expect(Array(value.elements).isEmpty)
        #expect(Array(array.members).isEmpty)
        #expect(array["a"] == nil)
        #expect(value.text.text == "{\"a\":[1,\"two\",{\"b\":null}],\"c\":true}")
    }

    @Test("The last of repeated keys counts")
    func theLastOfRepeatedKeysCounts() throws {
        #expect(try Self.slice("{\"a\":1,\"b\":2,\"a\":3}")["a"]?.integer == 3)
    }

    @Test("Keys compare equal with and without escapes")
    func comparesKeysWithoutAndWithEscapes() throws {
        let value = try Self.slice("{\"content\":1,\"c\\u006fntent\":2,\"conten\":3,\"contents\":4,\"\":5,\"a\\\\b\":6,\"a\\b\":7}")
        var seen: [Int] = []
        for member in value.members {
            switch member.key {
            case "content": seen.append(member.value.integer ?? 0)
            case "a\\b": seen.append(-6)
            case "a\u{8}": seen.append(-7)
            case "": seen.append(-5)
            default: break
            }
        }
        #expect(seen == [1, 2, -5, -6, -7])
        #expect(value["content"]?.integer == 2)
        #expect(value[""]?.integer == 5)
    }

    @Test("A slice reads scalars")
    func readsScalars() throws {
        #expect(try Self.slice("[1,-7,12.0,1.2e1,9223372036854775807,0,-0]").elements.map(\.integer) == [1, -7, 12, 12, .max, 0, 0])
        #expect(
            try Self.slice("[1.5,9223372036854775808,1e300,\"1\",null,true,1e999]").elements.map(\.integer)
                == Array(repeating: nil, count: 7))
        #expect(try Self.slice("[true,false,null,0,\"true\"]").elements.map(\.bool) == [true, false, nil, nil, nil])
        #expect(try Self.slice("[\"\",\"x\",1,null]").elements.map(\.string) == ["", "x", nil, nil])
    }

    @Test("Every escape is resolved")
    func resolvesEveryEscape() throws {
        let value = try Self.slice(#""\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\ud83d\ude00\u0000 end""#)
        #expect(value.string == "\"\\/\u{8}\u{C}\n\r\tAé€😀\0 end")
        #expect(try Self.slice("\"\\n\"").string == "\n")
    }

    @Test("A slice reads within a part of a buffer")
    func readsWithinAPartOfABuffer() throws {
        var buffer = ByteBuffer(string: "data: {\"a\":{\"b\":\"c\"}}\n")
        let slice = try #require(buffer.getSlice(at: 6, length: 15))
        buffer.clear()
        #expect(try JSONSlice(parsing: slice)["a"]?["b"]?.string == "c")
    }

    @Test("A slice finds what Foundation finds", arguments: 0..<8)
    func findsWhatFoundationFinds(seed: Int) throws {
        var random = RandomJSON(seed: UInt64(seed) + 1_000)
        for _ in 0..<400 {
            let document = random.document()
            let expected = try JSONSerialization.jsonObject(with: Data(document.utf8), options: .fragmentsAllowed)
            try Self.compare(try Self.slice(document), expected, in: document)
        }
    }

    /// Compares every value below `slice` with Foundation's tree, and every raw slice with the same
    /// text parsed alone.
    static func compare(_ slice: JSONSlice, _ expected: Any, in document: String) throws {
        let alone = try CheckedJSON(parsing: slice.raw)
        #expect(alone == slice.text)
        switch slice.kind {
        case .object:
            let object = try #require(expected as? [String: Any], "\(document)")
            let keys = slice.members.map(\.key.string)
            #expect(Set(keys) == Set(object.keys))
            for key in keys { try compare(try #require(slice[key]), try #require(object[key]), in: document) }
        case .array:
            let array = try #require(expected as? [Any], "\(document)")
            let elements = Array(slice.elements)
            try #require(elements.count == array.count)
            for (element, value) in zip(elements, array) { try compare(element, value, in: document) }
        case .string:
            #expect(slice.string == expected as? String)
        case .number:
            let number = try #require(expected as? NSNumber)
            #expect(Double(String(buffer: slice.raw)) == number.doubleValue)
        case .true, .false:
            #expect(slice.bool == expected as? Bool)
        case .null:
            #expect(expected is NSNull)
        }
    }
}
