/// Checks that bytes are exactly one JSON value (RFC 8259), without recursion and without
/// allocating.
///
/// The check is strict: text must be UTF-8, escaped surrogates must come in pairs, and a byte order
/// mark is an error. Numbers may have any size, since they stay text. Keys may be repeated. With
/// `allowsBrokenText`, strings may contain bytes that are not UTF-8 and unpaired surrogates.
struct JSONScanner {
    /// The upper bound of `maxDepth`: the scanner keeps one bit for each open container.
    static let depthLimit = 128

    let bytes: UnsafeRawBufferPointer
    private(set) var index = 0
    /// Whether there was whitespace outside of strings.
    private(set) var sawWhitespace = false
    private let maxDepth: Int
    private let allowsBrokenText: Bool
    private var open = OpenContainers()

    init(_ bytes: UnsafeRawBufferPointer, maxDepth: Int, allowsBrokenText: Bool = false) {
        self.bytes = bytes
        self.allowsBrokenText = allowsBrokenText
        self.maxDepth = min(max(maxDepth, 0), Self.depthLimit)
    }

    /// Scans one value and the whitespace around it, up to the end of the bytes.
    mutating func scanDocument() throws(JSONError) {
        skipWhitespace()
        while true {
            guard try scanValueOrOpen() else { continue }
            if try closeOrGoOn() { return }
        }
    }

    /// Scans a scalar or an empty container completely and returns true, or scans a container up to
    /// its first value and returns false.
    private mutating func scanValueOrOpen() throws(JSONError) -> Bool {
        guard index < bytes.count else { throw fail("a value is missing") }
        switch bytes[index] {
        case JSONBytes.quote:
            try scanString()
        case UInt8(ascii: "{"):
            try push(isObject: true)
            if peek() == UInt8(ascii: "}") {
                pop()
            } else {
                try scanKey()
                return false
            }
        case UInt8(ascii: "["):
            try push(isObject: false)
            if peek() == UInt8(ascii: "]") {
                pop()
            } else {
                return false
            }
        case UInt8(ascii: "-"), 0x30...0x39:
            try scanNumber()
        case UInt8(ascii: "t"):
            try scanWord("true")
        case UInt8(ascii: "f"):
            try scanWord("false")
        case UInt8(ascii: "n"):
            try scanWord("null")
        default:
            throw fail("not a value")
        }
        return true
    }

    /// Closes the containers that end behind a value.
    ///
    /// - Returns: True at the end of the document, false if another value must follow.
    private mutating func closeOrGoOn() throws(JSONError) -> Bool {
        while true {
            skipWhitespace()
            guard open.count > 0 else {
                guard index == bytes.count else { throw fail("something follows the value") }
                return true
            }
            let isObject = open.innermostIsObject
            switch peek() {
            case UInt8(ascii: ","):
                index &+= 1
                skipWhitespace()
                if isObject { try scanKey() }
                return false
            case UInt8(ascii: "}") where isObject:
                pop()
            case UInt8(ascii: "]") where !isObject:
                pop()
            default:
                throw fail(isObject ? "neither a comma nor the object's end" : "neither a comma nor the array's end")
            }
        }
    }

    private mutating func push(isObject: Bool) throws(JSONError) {
        guard open.count < maxDepth else { throw fail("nested deeper than \(maxDepth)") }
        open.push(isObject: isObject)
        index &+= 1
        skipWhitespace()
    }

    private mutating func pop() {
        open.pop()
        index &+= 1
    }

    private mutating func scanKey() throws(JSONError) {
        guard peek() == JSONBytes.quote else { throw fail("a key is missing") }
        try scanString()
        skipWhitespace()
        guard peek() == UInt8(ascii: ":") else { throw fail("a colon is missing") }
        index &+= 1
        skipWhitespace()
    }

    private mutating func scanWord(_ word: StaticString) throws(JSONError) {
        for offset in 0..<word.utf8CodeUnitCount {
            guard peek() == word.utf8Start[offset] else { throw fail("not a value") }
            index &+= 1
        }
    }

    private mutating func scanNumber() throws(JSONError) {
        if peek() == UInt8(ascii: "-") { index &+= 1 }
        if peek() == UInt8(ascii: "0") {
            index &+= 1
        } else {
            try scanDigits()
        }
        if peek() == UInt8(ascii: ".") {
            index &+= 1
            try scanDigits()
        }
        if peek() == UInt8(ascii: "e") || peek() == UInt8(ascii: "E") {
            index &+= 1
            if peek() == UInt8(ascii: "+") || peek() == UInt8(ascii: "-") { index &+= 1 }
            try scanDigits()
        }
    }

    private mutating func scanDigits() throws(JSONError) {
        let start = index
        while index < bytes.count, JSONBytes.isDigit(bytes[index]) { index &+= 1 }
        guard index > start else { throw fail("a digit is missing") }
    }

    /// Scans a string. `index` is at its opening quote.
    private mutating func scanString() throws(JSONError) {
        index &+= 1
        while true {
            index = JSONBytes.endOfPlainASCII(in: bytes, from: index)
            guard index < bytes.count else { throw fail("a string has no end") }
            let byte = bytes[index]
            if byte == JSONBytes.quote {
                index &+= 1
                return
            }
            if byte == JSONBytes.backslash {
                try scanEscape()
            } else if byte < 0x20 {
                throw fail("an unescaped control character in a string")
            } else if allowsBrokenText {
                while index < bytes.count, bytes[index] >= 0x80 { index &+= 1 }
            } else {
                while index < bytes.count, bytes[index] >= 0x80 { try scanMultibyte() }
            }
        }
    }

    private mutating func scanEscape() throws(JSONError) {
        index &+= 1
        switch peek() {
        case JSONBytes.quote, JSONBytes.backslash, UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"), UInt8(ascii: "n"),
            UInt8(ascii: "r"), UInt8(ascii: "t"):
            index &+= 1
        case UInt8(ascii: "u"):
            guard let unit = JSONBytes.hexQuad(in: bytes, at: index &+ 1) else { throw fail("not four hexadecimal digits") }
            switch unit {
            case 0xD800...0xDFFF where allowsBrokenText:
                index &+= 5
            case 0xD800...0xDBFF:
                guard index &+ 6 < bytes.count, bytes[index &+ 5] == JSONBytes.backslash, bytes[index &+ 6] == UInt8(ascii: "u"),
                    let low = JSONBytes.hexQuad(in: bytes, at: index &+ 7), 0xDC00...0xDFFF ~= low
                else { throw fail("half a surrogate pair") }
                index &+= 11
            case 0xDC00...0xDFFF:
                throw fail("half a surrogate pair")
            default:
                index &+= 5
            }
        default:
            throw fail("an unknown escape")
        }
    }

    /// Scans one UTF-8 sequence of two to four bytes (RFC 3629, section 4).
    private mutating func scanMultibyte() throws(JSONError) {
        let lead = bytes[index]
        let second: ClosedRange<UInt8>
        let length: Int
        switch lead {
        case 0xC2...0xDF: (second, length) = (0x80...0xBF, 2)
        case 0xE0: (second, length) = (0xA0...0xBF, 3)
        case 0xED: (second, length) = (0x80...0x9F, 3)
        case 0xE1...0xEF: (second, length) = (0x80...0xBF, 3)
        case 0xF0: (second, length) = (0x90...0xBF, 4)
        case 0xF1...0xF3: (second, length) = (0x80...0xBF, 4)
        case 0xF4: (second, length) = (0x80...0x8F, 4)
        default: throw fail("not UTF-8")
        }
        guard index &+ length <= bytes.count, second.contains(bytes[index &+ 1]) else { throw fail("not UTF-8") }
        for offset in (index &+ 2)..<max(index &+ length, index &+ 2) where bytes[offset] & 0xC0 != 0x80 {
            throw fail("not UTF-8")
        }
        index &+= length
    }

    private mutating func skipWhitespace() {
        guard index < bytes.count, JSONBytes.isWhitespace(bytes[index]) else { return }
        sawWhitespace = true
        while index < bytes.count, JSONBytes.isWhitespace(bytes[index]) { index &+= 1 }
    }

    @inline(__always)
    private func peek() -> UInt8? { index < bytes.count ? bytes[index] : nil }

    private func fail(_ message: String) -> JSONError { JSONError(message, offset: index) }
}

/// The types of the open containers, one bit each, with the innermost in the lowest bit.
private struct OpenContainers {
    private var low: UInt64 = 0
    private var high: UInt64 = 0
    private(set) var count = 0

    var innermostIsObject: Bool { low & 1 == 1 }

    mutating func push(isObject: Bool) {
        high = high << 1 | low >> 63
        low = low << 1 | (isObject ? 1 : 0)
        count &+= 1
    }

    mutating func pop() {
        low = low >> 1 | high << 63
        high >>= 1
        count &-= 1
    }
}
