package import NIOCore

extension JSONSlice {
    /// Returns the string directly behind `prefix` at the beginning of `json`; nil if `json` begins
    /// differently.
    ///
    /// Reads up to the string's end, so a large message costs no more than a small one. `json` was
    /// checked before it was stored. If someone has edited it since, this reads nothing beyond its
    /// bytes.
    package static func string(leading json: ByteBuffer, behind prefix: StaticString) -> JSONSlice? {
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

    /// Returns the number of bytes of the first value in `json`, including whitespace before it.
    /// The value is not checked. If `json` holds no complete value, the result is the number of all
    /// bytes.
    package static func lengthOfFirstValue(in json: ByteBuffer) -> Int {
        json.withUnsafeReadableBytes { bytes in
            JSONCursor.endOfValue(in: bytes, from: JSONCursor.skipWhitespace(in: bytes, from: 0))
        }
    }
}
