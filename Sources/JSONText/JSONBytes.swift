/// Searches in JSON bytes, eight at a time where possible.
///
/// The tests of a whole word are the exact ones of "Bit Twiddling Hacks" (Anderson): "a byte is
/// zero" and "a byte is less than n, for n ≤ 128" hold for a word if and only if they hold for one
/// of its bytes.
enum JSONBytes {
    static let quote = UInt8(ascii: "\"")
    static let backslash = UInt8(ascii: "\\")

    @inline(__always)
    private static func splat(_ byte: UInt8) -> UInt64 { 0x0101_0101_0101_0101 &* UInt64(byte) }

    @inline(__always)
    private static func hasByte(_ word: UInt64, _ byte: UInt8) -> Bool {
        let difference = word ^ splat(byte)
        return (difference &- splat(0x01)) & ~difference & splat(0x80) != 0
    }

    @inline(__always)
    private static func hasByteBelow(_ word: UInt64, _ bound: UInt8) -> Bool {
        (word &- splat(bound)) & ~word & splat(0x80) != 0
    }

    @inline(__always)
    private static func advance(
        in bytes: UnsafeRawBufferPointer,
        from start: Int,
        word stopsInWord: (UInt64) -> Bool,
        byte stopsAtByte: (UInt8) -> Bool
    ) -> Int {
        var index = start
        while index &+ 8 <= bytes.count {
            if stopsInWord(bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)) { break }
            index &+= 8
        }
        while index < bytes.count, !stopsAtByte(bytes[index]) { index &+= 1 }
        return index
    }

    /// Returns the index of the first byte at or after `start` that is a quote, a backslash, a
    /// control character or part of a longer UTF-8 sequence; `bytes.count` if there is none.
    static func endOfPlainASCII(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        advance(in: bytes, from: start) {
            $0 & splat(0x80) != 0 || hasByteBelow($0, 0x20) || hasByte($0, quote) || hasByte($0, backslash)
        } byte: {
            $0 >= 0x80 || $0 < 0x20 || $0 == quote || $0 == backslash
        }
    }

    /// Returns the index of the first quote or backslash at or after `start`; `bytes.count` if
    /// there is none.
    static func endOfStringRun(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        advance(in: bytes, from: start) {
            hasByte($0, quote) || hasByte($0, backslash)
        } byte: {
            $0 == quote || $0 == backslash
        }
    }

    /// Returns the index of the first byte at or after `start` that may need an escape: a quote, a
    /// backslash, a control character, or the lead byte of U+0085, U+2028 and U+2029, which other
    /// characters share.
    static func endOfUnescapedRun(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        advance(in: bytes, from: start) {
            hasByteBelow($0, 0x20) || hasByte($0, quote) || hasByte($0, backslash) || hasByte($0, 0xC2) || hasByte($0, 0xE2)
        } byte: {
            $0 < 0x20 || $0 == quote || $0 == backslash || $0 == 0xC2 || $0 == 0xE2
        }
    }

    /// Does the same as ``endOfUnescapedRun(in:from:)`` for text that is JSON already: quotes and
    /// backslashes do not stop it.
    static func endOfLine(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        advance(in: bytes, from: start) {
            hasByteBelow($0, 0x20) || hasByte($0, 0xC2) || hasByte($0, 0xE2)
        } byte: {
            $0 < 0x20 || $0 == 0xC2 || $0 == 0xE2
        }
    }

    /// Returns the escape for a line separator at `index` (U+0085, U+2028 or U+2029) and the number
    /// of bytes that it replaces; nil for other characters.
    static func lineSeparator(in bytes: UnsafeRawBufferPointer, at index: Int) -> (escape: StaticString, length: Int)? {
        let left = bytes.count &- index
        if left >= 2, bytes[index] == 0xC2, bytes[index &+ 1] == 0x85 { return ("\\u0085", 2) }
        guard left >= 3, bytes[index] == 0xE2, bytes[index &+ 1] == 0x80 else { return nil }
        switch bytes[index &+ 2] {
        case 0xA8: return ("\\u2028", 3)
        case 0xA9: return ("\\u2029", 3)
        default: return nil
        }
    }

    /// Whether the byte is insignificant whitespace outside of strings.
    @inline(__always)
    static func isWhitespace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
    }

    @inline(__always)
    static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    static func hexDigit(_ byte: UInt8) -> UInt16? {
        switch byte {
        case 0x30...0x39: UInt16(byte - 0x30)
        case 0x41...0x46: UInt16(byte - 0x41 + 10)
        case 0x61...0x66: UInt16(byte - 0x61 + 10)
        default: nil
        }
    }

    /// Returns the value of the four hexadecimal digits at `index`; nil if they are not digits.
    static func hexQuad(in bytes: UnsafeRawBufferPointer, at index: Int) -> UInt16? {
        guard index >= 0, index &+ 4 <= bytes.count else { return nil }
        var value: UInt16 = 0
        for offset in index..<(index &+ 4) {
            guard let digit = hexDigit(bytes[offset]) else { return nil }
            value = value << 4 | digit
        }
        return value
    }

    /// Returns the character of the two escapes at `index`; nil if they are not a surrogate pair.
    static func surrogatePair(in bytes: UnsafeRawBufferPointer, at index: Int) -> Unicode.Scalar? {
        guard let high = hexQuad(in: bytes, at: index &+ 2), 0xD800...0xDBFF ~= high, index &+ 7 < bytes.count,
            bytes[index &+ 6] == backslash, bytes[index &+ 7] == UInt8(ascii: "u"),
            let low = hexQuad(in: bytes, at: index &+ 8), 0xDC00...0xDFFF ~= low
        else { return nil }
        return Unicode.Scalar(0x1_0000 + (UInt32(high) - 0xD800) << 10 + (UInt32(low) - 0xDC00))
    }
}
