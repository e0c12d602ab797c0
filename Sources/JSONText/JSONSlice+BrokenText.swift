package import NIOCore

extension JSONSlice {
    /// The string's bytes with its escapes resolved; nil if this is not a string.
    ///
    /// Bytes that are not UTF-8 stay as they are, and an unpaired escaped surrogate becomes its
    /// three bytes (WTF-8). For text that was cut within a character, whose rest may come with the
    /// next string.
    package var brokenText: ByteBuffer? {
        guard kind == .string, buffer.readableBytes >= 2 else { return nil }
        return buffer.withUnsafeReadableBytes { bytes in
            let text = UnsafeRawBufferPointer(rebasing: bytes[1..<(bytes.count &- 1)])
            var output = ByteBuffer()
            output.reserveCapacity(text.count)
            var index = 0
            while index < text.count {
                let end = JSONBytes.endOfStringRun(in: text, from: index)
                output.writeBytes(UnsafeRawBufferPointer(rebasing: text[index..<end]))
                guard end &+ 1 < text.count else { break }
                index = end &+ output.writeCharacter(escapedIn: text, at: end)
            }
            return output
        }
    }
}

extension ByteBuffer {
    /// Writes the character of the escape at `index`.
    ///
    /// - Returns: The escape's length in bytes.
    fileprivate mutating func writeCharacter(escapedIn text: UnsafeRawBufferPointer, at index: Int) -> Int {
        if text[index &+ 1] == UInt8(ascii: "u"), let unit = JSONBytes.hexQuad(in: text, at: index &+ 2), 0xD800...0xDFFF ~= unit,
            JSONBytes.surrogatePair(in: text, at: index) == nil
        {
            writeInteger(UInt8(0xE0 | unit >> 12))
            writeInteger(UInt8(0x80 | unit >> 6 & 0x3F))
            writeInteger(UInt8(0x80 | unit & 0x3F))
            return 6
        }
        let (scalar, length) = JSONSlice.escape(in: text, at: index)
        writeBytes(UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        return length
    }
}
