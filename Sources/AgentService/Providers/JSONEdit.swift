import JSONText
import NIOCore
import SessionStore

/// Changes to a JSON object as text: what is not changed is copied, not read.
enum JSONEdit {
    /// Returns the object with members added at its end; nil if the text does not end like an object.
    static func adding(_ members: [JSONMembers.Member], to object: ByteBuffer) -> ByteBuffer? {
        let bytes = object.readableBytesView
        guard let brace = bytes.lastIndex(of: UInt8(ascii: "}")),
            let last = bytes[..<brace].last(where: { $0 > 0x20 })
        else { return nil }
        let added = members.reduce(0) { $0 + $1.key.raw.readableBytes + $1.value.raw.readableBytes + 2 }
        var json = ByteBuffer()
        json.reserveCapacity(object.readableBytes + added)
        json.writeBytes(bytes[..<brace])
        var isFirst = last == UInt8(ascii: "{")
        for member in members { write(member.key.raw, member.value.raw, into: &json, isFirst: &isFirst) }
        json.writeBytes(bytes[brace...])
        return json
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
