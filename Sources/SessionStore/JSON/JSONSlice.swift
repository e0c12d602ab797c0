public import NIOCore

/// What a JSON value is.
public enum JSONKind: Sendable, Equatable {
    case object, array, string, number, `true`, `false`, null
}

/// A checked JSON value within a shared buffer: a way to look into JSON without building a tree.
///
/// It keeps the buffer's storage alive. Whitespace between its tokens may be there; ``JSONText`` is without.
public struct JSONSlice: Sendable {
    let buffer: ByteBuffer

    /// Checks `buffer`'s readable bytes as ``JSONText/init(parsing:maxDepth:)`` does, and never copies.
    ///
    /// - Parameter allowsBrokenText: Whether strings may hold bytes that are not UTF-8 and halves of escaped surrogate pairs,
    ///   which ``string`` gives as U+FFFD. For what models' servers say, and for nothing that a client sends.
    public init(parsing buffer: ByteBuffer, maxDepth: Int = 128, allowsBrokenText: Bool = false) throws(JSONError) {
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

    /// `buffer` holds one valid value and nothing around it.
    init(trusted buffer: ByteBuffer) {
        self.buffer = buffer
    }

    /// The value at `range`, counted from the first readable byte of `buffer`.
    init(_ buffer: ByteBuffer, _ range: Range<Int>) {
        self.buffer = buffer.getSlice(at: buffer.readerIndex &+ range.lowerBound, length: range.count) ?? ByteBuffer()
    }

    /// The value's bytes as they stand in the buffer; shares its storage.
    public var raw: ByteBuffer { buffer }

    /// Where this value lies within the readable bytes of the buffer that it was cut from; nil for another buffer.
    public func range(in whole: ByteBuffer) -> Range<Int>? {
        whole.withUnsafeReadableBytes { whole in
            buffer.withUnsafeReadableBytes { part in
                guard let start = part.baseAddress, let first = whole.baseAddress, start >= first else { return nil }
                let offset = start - first
                return offset + part.count <= whole.count ? offset..<(offset + part.count) : nil
            }
        }
    }

    /// The value without insignificant whitespace; shares the storage if there was none.
    public var text: JSONText {
        switch kind {
        case .object, .array: JSONText(trusted: hasWhitespace ? JSONText.minified(buffer) : buffer)
        case .string, .number, .true, .false, .null: JSONText(trusted: buffer)
        }
    }

    public var kind: JSONKind {
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
