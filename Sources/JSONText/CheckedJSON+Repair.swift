package import NIOCore

extension CheckedJSON {
    /// Checks `buffer`'s readable bytes, and replaces bytes that are not UTF-8 and unpaired escaped
    /// surrogates in its strings by U+FFFD. For the output of models.
    ///
    /// - Throws: ``JSONError`` for any other defect.
    package init(repairing buffer: ByteBuffer) throws(JSONError) {
        if let text = try? CheckedJSON(parsing: buffer) {
            self = text
            return
        }
        let value = try JSONSlice(parsing: buffer, allowsBrokenText: true)
        try self.init(parsing: Self.repaired(value.raw))
    }

    /// Reads the values in `buffer`, which whitespace may separate, and repairs each one.
    ///
    /// - Parameter limit: The number of values that `buffer` may hold.
    /// - Throws: ``JSONError`` for more values, or for a value that cannot be repaired.
    package static func series(repairing buffer: ByteBuffer, limit: Int) throws(JSONError) -> [CheckedJSON] {
        var rest = buffer
        var values: [CheckedJSON] = []
        while rest.readableBytesView.contains(where: { !JSONBytes.isWhitespace($0) }) {
            guard values.count < limit, let value = rest.readSlice(length: JSONSlice.lengthOfFirstValue(in: rest)) else {
                throw JSONError("more than \(limit) values", offset: buffer.readableBytes - rest.readableBytes)
            }
            values.append(try CheckedJSON(repairing: value))
        }
        return values
    }

    private static func repaired(_ json: ByteBuffer) -> ByteBuffer {
        // The text is valid JSON except for the content of strings, and backslashes occur only
        // there.
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
