package import NIOCore

/// The type of a JSON value.
package enum JSONKind: Sendable, Equatable {
    case object, array, string, number, `true`, `false`, null
}

/// A checked JSON value within a shared buffer, for reading JSON without building a tree.
///
/// A slice keeps the buffer's storage alive. It may contain whitespace between its tokens;
/// ``CheckedJSON`` does not.
package struct JSONSlice: Sendable {
    let buffer: ByteBuffer

    /// Checks `buffer`'s readable bytes as ``CheckedJSON/init(parsing:maxDepth:)`` does, and never
    /// copies them.
    ///
    /// - Parameter allowsBrokenText: Whether strings may contain bytes that are not UTF-8, and
    ///   unpaired escaped surrogates. ``string`` returns them as U+FFFD. For responses of models'
    ///   servers, never for requests of clients.
    package init(parsing buffer: ByteBuffer, maxDepth: Int = 128, allowsBrokenText: Bool = false) throws(JSONError) {
        let outcome: Result<Range<Int>, JSONError> = buffer.withUnsafeReadableBytes { bytes in
            var scanner = JSONScanner(bytes, maxDepth: maxDepth, allowsBrokenText: allowsBrokenText)
            do throws(JSONError) {
                try scanner.scanDocument()
            } catch {
                return .failure(error)
            }
            let start = JSONCursor.skipWhitespace(in: bytes, from: 0)
            return .success(start..<JSONCursor.endOfValue(in: bytes, from: start))
        }
        self.init(buffer, try outcome.get())
    }

    /// - Parameter buffer: One valid value, with nothing around it.
    init(trusted buffer: ByteBuffer) {
        self.buffer = buffer
    }

    /// The value at `range`, counted from the first readable byte of `buffer`.
    init(_ buffer: ByteBuffer, _ range: Range<Int>) {
        self.buffer = buffer.getSlice(at: buffer.readerIndex &+ range.lowerBound, length: range.count) ?? ByteBuffer()
    }

    /// The value's bytes, in the buffer's own storage.
    package var raw: ByteBuffer { buffer }

    /// Returns the place of this value within the readable bytes of the buffer that it was cut
    /// from, or nil for another buffer.
    package func range(in whole: ByteBuffer) -> Range<Int>? {
        whole.withUnsafeReadableBytes { whole in
            buffer.withUnsafeReadableBytes { part in
                guard let start = part.baseAddress, let first = whole.baseAddress, start >= first else { return nil }
                let offset = start - first
                return offset + part.count <= whole.count ? offset..<(offset + part.count) : nil
            }
        }
    }

    /// The value without insignificant whitespace. Shares the buffer's storage if there was none.
    package var text: CheckedJSON {
        switch kind {
        case .object, .array: CheckedJSON(trusted: hasWhitespace ? CheckedJSON.minified(buffer) : buffer)
        case .string, .number, .true, .false, .null: CheckedJSON(trusted: buffer)
        }
    }

    /// The type of the value.
    package var kind: JSONKind {
        switch firstByte {
        case UInt8(ascii: "{"): .object
        case UInt8(ascii: "["): .array
        case JSONBytes.quote: .string
        case UInt8(ascii: "t"): .true
        case UInt8(ascii: "f"): .false
        case UInt8(ascii: "n"): .null
        default: .number
        }
    }

    private var firstByte: UInt8 { buffer.getInteger(at: buffer.readerIndex) ?? UInt8(ascii: "n") }

    private var hasWhitespace: Bool {
        buffer.withUnsafeReadableBytes { bytes in
            var index = 0
            while index < bytes.count {
                if bytes[index] == JSONBytes.quote {
                    index = JSONCursor.endOfString(in: bytes, from: index)
                } else if JSONBytes.isWhitespace(bytes[index]) {
                    return true
                } else {
                    index &+= 1
                }
            }
            return false
        }
    }
}
