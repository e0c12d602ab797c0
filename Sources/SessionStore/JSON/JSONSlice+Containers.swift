public import NIOCore

extension JSONSlice {
    /// The members in the order of the text, repeated keys included; empty if this is no object.
    public var members: JSONMembers { JSONMembers(buffer: kind == .object ? buffer : ByteBuffer()) }

    /// The elements; empty if this is no array.
    public var elements: JSONElements { JSONElements(buffer: kind == .array ? buffer : ByteBuffer()) }

    /// The value of `key`, nil if it is missing or if this is no object. Of repeated keys the last one counts. Takes time
    /// proportional to the object's length: use ``members`` to get at several.
    public subscript(key: String) -> JSONSlice? {
        var found: JSONSlice?
        for member in members where member.key == key { found = member.value }
        return found
    }
}

/// A key of an object, decoded only where that is needed.
public struct JSONKey: Sendable {
    let slice: JSONSlice

    /// The key as it stands in the text, in its quotation marks.
    public var raw: ByteBuffer { slice.raw }

    /// The key, unescaped.
    public var string: String { slice.string ?? "" }

    public static func == (key: JSONKey, name: String) -> Bool {
        var name = name
        return name.withUTF8 { key.equals(UnsafeRawBufferPointer($0)) }
    }

    /// So that keys can be switched over.
    public static func ~= (name: StaticString, key: JSONKey) -> Bool {
        key.equals(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
    }

    private func equals(_ name: UnsafeRawBufferPointer) -> Bool {
        slice.buffer.withUnsafeReadableBytes { bytes in
            guard bytes.count >= 2 else { return false }
            let inner = UnsafeRawBufferPointer(rebasing: bytes[1..<(bytes.count &- 1)])
            // An escape makes a key longer, never shorter.
            if inner.count < name.count { return false }
            if inner.count == name.count { return inner.elementsEqual(name) && !inner.contains(JSONBytes.backslash) }
            guard inner.contains(JSONBytes.backslash) else { return false }
            return string.utf8.elementsEqual(name)
        }
    }
}

/// The members of an object.
public struct JSONMembers: Sequence, IteratorProtocol, Sendable {
    public struct Member: Sendable {
        public let key: JSONKey
        public let value: JSONSlice
    }

    let buffer: ByteBuffer
    private var position = 1

    init(buffer: ByteBuffer) {
        self.buffer = buffer
    }

    public mutating func next() -> Member? {
        let ranges: (key: Range<Int>, value: Range<Int>)? = buffer.withUnsafeReadableBytes { bytes in
            guard let keyStart = JSONCursor.nextItem(in: bytes, from: position) else { return nil }
            let keyEnd = JSONCursor.endOfString(in: bytes, from: keyStart)
            let colon = JSONCursor.skipWhitespace(in: bytes, from: keyEnd)
            let start = JSONCursor.skipWhitespace(in: bytes, from: colon &+ 1)
            guard start < bytes.count else { return nil }
            return (keyStart..<keyEnd, start..<JSONCursor.endOfValue(in: bytes, from: start))
        }
        guard let ranges else { return nil }
        position = ranges.value.upperBound
        return Member(key: JSONKey(slice: JSONSlice(buffer, ranges.key)), value: JSONSlice(buffer, ranges.value))
    }
}

/// The elements of an array.
public struct JSONElements: Sequence, IteratorProtocol, Sendable {
    let buffer: ByteBuffer
    private var position = 1

    init(buffer: ByteBuffer) {
        self.buffer = buffer
    }

    public mutating func next() -> JSONSlice? {
        let range: Range<Int>? = buffer.withUnsafeReadableBytes { bytes in
            guard let start = JSONCursor.nextItem(in: bytes, from: position) else { return nil }
            return start..<JSONCursor.endOfValue(in: bytes, from: start)
        }
        guard let range else { return nil }
        position = range.upperBound
        return JSONSlice(buffer, range)
    }
}
