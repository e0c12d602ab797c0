import JSONText
import NIOCore

/// Changes to a JSON object as text: what does not change is copied, not read.
enum JSONEdit {
    /// Appends an object with members added at its end. A text that does not end like an object is
    /// appended as it is.
    static func write(_ object: ByteBuffer, adding members: [JSONMembers.Member], into json: inout ByteBuffer) {
        let bytes = object.readableBytesView
        guard !members.isEmpty, let brace = bytes.lastIndex(of: UInt8(ascii: "}")),
            let last = bytes[..<brace].last(where: { $0 > 0x20 })
        else {
            json.writeImmutableBuffer(object)
            return
        }
        json.writeBytes(bytes[..<brace])
        var isFirst = last == UInt8(ascii: "{")
        for member in members { write(member.key.raw, member.value.raw, into: &json, isFirst: &isFirst) }
        json.writeBytes(bytes[brace...])
    }

    /// Returns the object with another value for one member, and with members added at its end.
    ///
    /// - Parameter value: JSON; nil leaves the member as it is.
    static func object(
        _ object: JSONSlice, replacing name: StaticString, with value: ByteBuffer?, adding members: [JSONMembers.Member] = []
    ) -> ByteBuffer {
        var json = ByteBuffer()
        json.reserveCapacity(object.raw.readableBytes + (value?.readableBytes ?? 0))
        json.writeStaticString("{")
        var isFirst = true
        for member in object.members {
            let isReplaced = name ~= member.key
            write(member.key.raw, isReplaced ? value ?? member.value.raw : member.value.raw, into: &json, isFirst: &isFirst)
        }
        for member in members { write(member.key.raw, member.value.raw, into: &json, isFirst: &isFirst) }
        json.writeStaticString("}")
        return json
    }

    private static func write(_ key: ByteBuffer, _ value: ByteBuffer, into json: inout ByteBuffer, isFirst: inout Bool) {
        if !isFirst { json.writeStaticString(",") }
        isFirst = false
        json.writeImmutableBuffer(key)
        json.writeStaticString(":")
        json.writeImmutableBuffer(value)
    }
}
