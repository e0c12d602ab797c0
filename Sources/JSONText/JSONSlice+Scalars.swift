import NIOCore

extension JSONSlice {
    /// Whether this is `null`.
    package var isNull: Bool { kind == .null }

    /// The Boolean; nil if this is not one.
    package var bool: Bool? {
        switch kind {
        case .true: true
        case .false: false
        case .object, .array, .string, .number, .null: nil
        }
    }

    /// The number, if it is whole and fits: `12`, and `12.0` or `1.2e1` up to 2^53. Nil otherwise.
    package var integer: Int? {
        guard kind == .number else { return nil }
        let text = String(buffer: buffer)
        if let whole = Int(text) { return whole }
        guard let double = Double(text), abs(double) <= 0x1p53 else { return nil }
        return Int(exactly: double)
    }

    /// The string with its escapes resolved; nil if this is not a string.
    package var string: String? {
        guard kind == .string else { return nil }
        return buffer.withUnsafeReadableBytes { bytes in
            guard bytes.count >= 2 else { return nil }
            let inner = UnsafeRawBufferPointer(rebasing: bytes[1..<(bytes.count &- 1)])
            let plain = JSONBytes.endOfStringRun(in: inner, from: 0)
            if plain == inner.count { return String(decoding: inner, as: UTF8.self) }
            // An escape is always longer than the UTF-8 of its character.
            return String(unsafeUninitializedCapacity: inner.count) { Self.unescape(inner, into: UnsafeMutableRawBufferPointer($0)) }
        }
    }

    /// Writes `text` with its escapes resolved to `output`, which must be as long as `text`.
    ///
    /// - Returns: The number of bytes written.
    private static func unescape(_ text: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Int {
        var count = 0
        var index = 0
        while index < text.count {
            let end = JSONBytes.endOfStringRun(in: text, from: index)
            if end > index {
                UnsafeMutableRawBufferPointer(rebasing: output[count..<(count &+ end &- index)])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: text[index..<end]))
                count &+= end &- index
                index = end
            }
            guard index &+ 1 < text.count else { break }
            let (scalar, length) = escape(in: text, at: index)
            for byte in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter {
                output[count] = byte
                count &+= 1
            }
            index &+= length
        }
        return count
    }

    /// Returns the character of the escape at `index`, and the escape's length in bytes.
    static func escape(in text: UnsafeRawBufferPointer, at index: Int) -> (Unicode.Scalar, length: Int) {
        switch text[index &+ 1] {
        case UInt8(ascii: "b"): return ("\u{8}", 2)
        case UInt8(ascii: "f"): return ("\u{C}", 2)
        case UInt8(ascii: "n"): return ("\n", 2)
        case UInt8(ascii: "r"): return ("\r", 2)
        case UInt8(ascii: "t"): return ("\t", 2)
        case UInt8(ascii: "u"):
            let replacement: Unicode.Scalar = "\u{FFFD}"
            guard let unit = JSONBytes.hexQuad(in: text, at: index &+ 2) else { return (replacement, 2) }
            if let scalar = Unicode.Scalar(unit) { return (scalar, 6) }
            guard let scalar = JSONBytes.surrogatePair(in: text, at: index) else { return (replacement, 6) }
            return (scalar, 12)
        case let byte:
            return (Unicode.Scalar(byte), 2)
        }
    }
}
