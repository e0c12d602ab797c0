package import NIOCore

extension ByteBuffer {
    /// Appends `string` as a JSON string, including the quotes.
    ///
    /// Escapes `"`, `\`, control characters, and U+0085, U+2028 and U+2029, at which line readers
    /// split although JSON allows them. So the result fits into one line of an event stream.
    ///
    /// - Returns: The number of bytes written.
    @discardableResult
    package mutating func writeJSONString(_ string: String) -> Int {
        var string = string
        return string.withUTF8 { writeJSONString(utf8: UnsafeRawBufferPointer($0)) }
    }

    /// Appends UTF-8 as a JSON string, as ``writeJSONString(_:)`` does. Bytes that are not UTF-8
    /// become U+FFFD.
    @discardableResult
    package mutating func writeJSONString(bytes: ByteBuffer) -> Int {
        writeJSONString(String(buffer: bytes))
    }

    /// Appends JSON text that is one line for every line reader.
    ///
    /// Escapes U+0085, U+2028 and U+2029, which can only occur within strings. Drops control
    /// characters, which can only occur between tokens.
    ///
    /// - Parameter raw: Valid JSON.
    /// - Returns: The number of bytes written.
    @discardableResult
    package mutating func writeSSESafeJSON(_ raw: ByteBuffer) -> Int {
        let before = writerIndex
        raw.withUnsafeReadableBytes { bytes in
            reserveCapacity(minimumWritableBytes: bytes.count)
            var runStart = 0
            var index = 0
            while true {
                index = JSONBytes.endOfLine(in: bytes, from: index)
                guard index < bytes.count else { break }
                if bytes[index] < 0x20 {
                    writeBytes(UnsafeRawBufferPointer(rebasing: bytes[runStart..<index]))
                    index &+= 1
                    runStart = index
                } else if let separator = JSONBytes.lineSeparator(in: bytes, at: index) {
                    writeBytes(UnsafeRawBufferPointer(rebasing: bytes[runStart..<index]))
                    writeStaticString(separator.escape)
                    index &+= separator.length
                    runStart = index
                } else {
                    index &+= 1
                }
            }
            writeBytes(UnsafeRawBufferPointer(rebasing: bytes[runStart...]))
        }
        return writerIndex &- before
    }

    private mutating func writeJSONString(utf8 bytes: UnsafeRawBufferPointer) -> Int {
        let before = writerIndex
        reserveCapacity(minimumWritableBytes: bytes.count &+ 2)
        writeInteger(JSONBytes.quote)
        var runStart = 0
        var index = 0
        while true {
            index = JSONBytes.endOfUnescapedRun(in: bytes, from: index)
            guard index < bytes.count else { break }
            let separator = JSONBytes.lineSeparator(in: bytes, at: index)
            if separator == nil, bytes[index] >= 0x80 {
                index &+= 1
                continue
            }
            writeBytes(UnsafeRawBufferPointer(rebasing: bytes[runStart..<index]))
            if let separator {
                writeStaticString(separator.escape)
                index &+= separator.length
            } else {
                writeEscape(of: bytes[index])
                index &+= 1
            }
            runStart = index
        }
        writeBytes(UnsafeRawBufferPointer(rebasing: bytes[runStart...]))
        writeInteger(JSONBytes.quote)
        return writerIndex &- before
    }

    private mutating func writeEscape(of byte: UInt8) {
        switch byte {
        case JSONBytes.quote: writeStaticString("\\\"")
        case JSONBytes.backslash: writeStaticString("\\\\")
        case 0x08: writeStaticString("\\b")
        case 0x09: writeStaticString("\\t")
        case 0x0A: writeStaticString("\\n")
        case 0x0C: writeStaticString("\\f")
        case 0x0D: writeStaticString("\\r")
        default:
            writeStaticString("\\u00")
            for nibble in [byte >> 4, byte & 0x0F] { writeInteger(nibble < 10 ? 0x30 + nibble : 0x57 + nibble) }
        }
    }
}
