/// Steps through JSON that was checked before. No step leaves the bytes, even if they were not.
enum JSONCursor {
    /// Returns the end of the string whose opening quote is at `start`.
    static func endOfString(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var index = start &+ 1
        while true {
            index = JSONBytes.endOfStringRun(in: bytes, from: index)
            guard index < bytes.count else { return bytes.count }
            if bytes[index] == JSONBytes.quote { return index &+ 1 }
            index &+= 2
        }
    }

    /// Returns the end of the value that begins at `start`.
    static func endOfValue(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var index = start
        var depth = 0
        while index < bytes.count {
            switch bytes[index] {
            case JSONBytes.quote:
                index = endOfString(in: bytes, from: index)
                if depth == 0 { return index }
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth &+= 1
                index &+= 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                // At depth 0 this closes the container around a number or word.
                if depth == 0 { return index }
                depth &-= 1
                index &+= 1
                if depth == 0 { return index }
            case UInt8(ascii: ","), 0x20, 0x0A, 0x0D, 0x09:
                if depth == 0 { return index }
                index &+= 1
            default:
                index &+= 1
            }
        }
        return bytes.count
    }

    static func skipWhitespace(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var index = start
        while index < bytes.count, JSONBytes.isWhitespace(bytes[index]) { index &+= 1 }
        return index
    }

    /// Returns the start of the next key or element of a container, or nil at its end. `start` is
    /// behind the opening bracket or behind the previous value.
    static func nextItem(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
        var index = skipWhitespace(in: bytes, from: start)
        guard index < bytes.count else { return nil }
        if bytes[index] == UInt8(ascii: ",") { index = skipWhitespace(in: bytes, from: index &+ 1) }
        guard index < bytes.count, bytes[index] != UInt8(ascii: "}"), bytes[index] != UInt8(ascii: "]") else { return nil }
        return index
    }
}
