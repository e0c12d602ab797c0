public import NIOCore

extension JSONText {
    /// Checks `buffer`'s readable bytes, and repairs the text in its strings: bytes that are not UTF-8 and halves of escaped
    /// surrogate pairs become U+FFFD. For what models say.
    public init(repairing buffer: ByteBuffer) throws(JSONError) {
        if let text = try? JSONText(parsing: buffer) {
            self = text
            return
        }
        let value = try JSONSlice(parsing: buffer, allowsBrokenText: true)
        try self.init(parsing: Self.repaired(value.raw))
    }

    /// The values that stand one after another in `buffer`, with nothing but whitespace between them, each one repaired.
    ///
    /// - Parameter limit: More values than this are an error.
    public static func series(repairing buffer: ByteBuffer, limit: Int) throws(JSONError) -> [JSONText] {
        var rest = buffer
        var values: [JSONText] = []
        while rest.readableBytesView.contains(where: { !JSONBytes.isWhitespace($0) }) {
            guard values.count < limit, let value = rest.readSlice(length: JSONSlice.lengthOfFirstValue(in: rest)) else {
                throw JSONError("more than \(limit) values", offset: buffer.readableBytes - rest.readableBytes)
            }
            values.append(try JSONText(repairing: value))
        }
        return values
    }

    private static func repaired(_ json: ByteBuffer) -> ByteBuffer {
        // The text is valid JSON but for what its strings hold, and backslashes stand in strings alone.
        let text = ByteBuffer(string: String(buffer: json))
        var output = ByteBuffer()
        text.withUnsafeReadableBytes { bytes in
            var runStart = 0
            var index = 0
            while index < bytes.count {
                guard bytes[index] == JSONBytes.backslash else {
                    index &+= 1
                    continue
                }
                let isSurrogate =
                    index &+ 1 < bytes.count && bytes[index &+ 1] == UInt8(ascii: "u")
                    && JSONBytes.hexQuad(in: bytes, at: index &+ 2).map { 0xD800...0xDFFF ~= $0 } ?? false
                if !isSurrogate {
                    index &+= 2
                } else if JSONBytes.surrogatePair(in: bytes, at: index) != nil {
                    index &+= 12
                } else {
                    output.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[runStart..<index]))
                    output.writeStaticString("\\ufffd")
                    index &+= 6
                    runStart = index
                }
            }
            output.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[min(runStart, bytes.count)...]))
        }
        return output
    }
}
