package import NIOCore

/// The text of exactly one JSON value (RFC 8259), checked, without insignificant whitespace.
///
/// Nothing is decoded and encoded again, so large integers, the order of keys and the form of
/// escapes survive. Two values are equal if their bytes are.
package struct CheckedJSON: Sendable, Equatable {
    /// The bytes of the text. None of them is a line break.
    package let buffer: ByteBuffer

    /// Checks `buffer`'s readable bytes. Copies them only to remove whitespace; otherwise shares
    /// their storage.
    ///
    /// - Parameters:
    ///   - buffer: One JSON value in UTF-8 without a byte order mark. Whitespace may surround it.
    ///   - maxDepth: How many arrays and objects may be open at once: 0 to 128.
    /// - Throws: ``JSONError`` at the first byte that RFC 8259 does not allow, or at an unpaired
    ///   escaped surrogate.
    package init(parsing buffer: ByteBuffer, maxDepth: Int = 128) throws(JSONError) {
        let outcome: Result<Bool, JSONError> = buffer.withUnsafeReadableBytes { bytes in
            var scanner = JSONScanner(bytes, maxDepth: maxDepth)
            do throws(JSONError) {
                try scanner.scanDocument()
                return .success(scanner.sawWhitespace)
            } catch {
                return .failure(error)
            }
        }
        self.buffer = try outcome.get() ? Self.minified(buffer) : buffer
    }

    /// Takes text without checking it.
    ///
    /// - Parameter buffer: One valid JSON value without insignificant whitespace, written by this
    ///   program.
    package init(trusted buffer: ByteBuffer) {
        self.buffer = buffer
    }

    /// Makes a JSON string.
    package init(string: String) {
        var buffer = ByteBuffer()
        buffer.writeJSONString(string)
        self.buffer = buffer
    }

    /// The value, for reading its parts.
    package var value: JSONSlice { JSONSlice(trusted: buffer) }

    /// The type of the value.
    package var kind: JSONKind { value.kind }

    /// The text as a `String`.
    package var text: String { String(buffer: buffer) }

    /// Returns a copy of valid JSON text without the whitespace between its tokens.
    static func minified(_ buffer: ByteBuffer) -> ByteBuffer {
        var copy = ByteBufferAllocator().buffer(capacity: buffer.readableBytes)
        buffer.withUnsafeReadableBytes { bytes in
            var runStart = 0
            var index = 0
            while index < bytes.count {
                if bytes[index] == JSONBytes.quote {
                    index = JSONCursor.endOfString(in: bytes, from: index)
                } else if JSONBytes.isWhitespace(bytes[index]) {
                    copy.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[runStart..<index]))
                    while index < bytes.count, JSONBytes.isWhitespace(bytes[index]) { index &+= 1 }
                    runStart = index
                } else {
                    index &+= 1
                }
            }
            copy.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[runStart..<index]))
        }
        return copy
    }
}
