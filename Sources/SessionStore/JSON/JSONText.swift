public import NIOCore

/// Exactly one JSON value as text (RFC 8259), checked and without insignificant whitespace.
///
/// The text is the value: large integers, the order of keys and the way strings are escaped survive, because nothing is
/// decoded and encoded again. Two texts are equal if their bytes are.
public struct JSONText: Sendable, Equatable {
    /// The text's bytes. No byte of it is a line break.
    public let buffer: ByteBuffer

    /// Checks `buffer`'s readable bytes. Copies only if there is whitespace to be removed; otherwise it shares the storage.
    /// - Parameters:
    ///   - buffer: One JSON value in UTF-8, with whitespace around it or not, without a byte order mark.
    ///   - maxDepth: How many arrays and objects may be open at once: 0 to 128.
    /// - Throws: ``JSONError`` at the first byte that RFC 8259 does not allow, or that is half of an escaped surrogate pair.
    public init(parsing buffer: ByteBuffer, maxDepth: Int = 128) throws(JSONError) {
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

    /// Takes text that is known to be one valid JSON value without insignificant whitespace: written by this program.
    public init(trusted buffer: ByteBuffer) {
        self.buffer = buffer
    }

    /// A JSON string.
    public init(string: String) {
        var buffer = ByteBuffer()
        buffer.writeJSONString(string)
        self.buffer = buffer
    }

    /// The value, for looking into it.
    public var value: JSONSlice { JSONSlice(trusted: buffer) }

    public var kind: JSONKind { value.kind }

    /// The text as a string.
    public var text: String { String(buffer: buffer) }

    /// A copy of valid JSON text without the whitespace between its tokens.
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
