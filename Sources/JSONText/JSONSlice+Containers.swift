package import NIOCore

extension JSONSlice {
    /// The members in the order of the text, including repeated keys; empty if this is not an
    /// object.
    package var members: JSONMembers { JSONMembers(buffer: kind == .object ? buffer : ByteBuffer()) }

    /// The elements; empty if this is not an array.
    package var elements: JSONElements { JSONElements(buffer: kind == .array ? buffer : ByteBuffer()) }

    /// Returns the value of `key`; nil if the key is missing or this is not an object. The last of
    /// repeated keys counts. Takes time proportional to the object's length; use ``members`` to
    /// read several keys.
    package subscript(key: String) -> JSONSlice? {
        var found: JSONSlice?
        for member in members where member.key == key { found = member.value }
        return found
    }
}

/// A key of an object. It is decoded only if a caller needs it.
package struct JSONKey: Sendable {
    let slice: JSONSlice

    /// The key as it stands in the text, including its quotes.
    package var raw: ByteBuffer { slice.raw }

    /// The key with its escapes resolved.
    package var string: String { slice.string ?? "" }

    /// Whether the key, with its escapes resolved, equals `name`.
    package static func == (key: JSONKey, name: String) -> Bool {
        var name = name
        return name.withUTF8 { key.equals(UnsafeRawBufferPointer($0)) }
    }

    /// Matches keys in a `switch`.
    package static func ~= (name: StaticString, key: JSONKey) -> Bool {
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

/// The members of an object, in the order of the text.
package struct JSONMembers: Sequence, IteratorProtocol, Sendable {
    /// A key and its value.
    package struct Member: Sendable {
        /// The key.
        package let key: JSONKey
        /// The value.
        package let value: JSONSlice
    }

    let buffer: ByteBuffer
    private var position = 1

    init(buffer: ByteBuffer) {
        self.buffer = buffer
    }

    /// Returns the next member, or nil behind the last one.
    package mutating func next() -> Member? {
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

/// The elements of an array, in order.
package struct JSONElements: Sequence, IteratorProtocol, Sendable {
    let buffer: ByteBuffer
    private var position = 1

    init(buffer: ByteBuffer) {
        self.buffer = buffer
    }

    /// Returns the next element, or nil behind the last one.
    package mutating func next() -> JSONSlice? {
        let range: Range<Int>? = buffer.withUnsafeReadableBytes { bytes in
            guard let start = JSONCursor.nextItem(in: bytes, from: position) else { return nil }
            return start..<JSONCursor.endOfValue(in: bytes, from: start)
        }
        guard let range else { return nil }
        position = range.upperBound
        return JSONSlice(buffer, range)
    }
}
