public import NIOCore

extension JSONSlice {
    /// The string that stands directly behind `prefix` at the beginning of `json`; nil where `json` begins otherwise.
    ///
    /// Reads no further than the string's end, so that a large message costs no more than a small one. `json` was checked before it
    /// was stored; should somebody have edited it since, nothing is read beyond its bytes.
    public static func string(leading json: ByteBuffer, behind prefix: StaticString) -> JSONSlice? {
        let range = json.withUnsafeReadableBytes { bytes -> Range<Int>? in
            let start = prefix.utf8CodeUnitCount
            guard bytes.count >= start + 2, bytes[start] == JSONBytes.quote,
                prefix.withUTF8Buffer({ bytes.prefix(start).elementsEqual($0) })
            else { return nil }
            let end = JSONCursor.endOfString(in: bytes, from: start)
            guard end <= bytes.count, end >= start + 2, bytes[end - 1] == JSONBytes.quote else { return nil }
            return start..<end
        }
        return range.map { JSONSlice(json, $0) }
    }

    /// How many bytes the first value in `json` takes, with the whitespace before it. It is not checked, and ends with the
    /// bytes where they hold no whole one.
    public static func lengthOfFirstValue(in json: ByteBuffer) -> Int {
        json.withUnsafeReadableBytes { bytes in
            JSONCursor.endOfValue(in: bytes, from: JSONCursor.skipWhitespace(in: bytes, from: 0))
        }
    }
}
