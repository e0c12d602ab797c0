import Glibc
import JSONText
package import NIOCore

extension ChatMessage {
    package enum Role: String, Sendable {
        case system, user, assistant, tool
    }

    /// Returns the role of a message that begins with it, as each message does that this project
    /// writes; nil for any other.
    ///
    /// Each message of a history passes here with every request, so the bytes are compared where
    /// they lie.
    package static func leadingRole(of message: ByteBuffer) -> Role? {
        guard message.begins(with: start), let first = message.getInteger(at: message.readerIndex + start.utf8CodeUnitCount, as: UInt8.self)
        else { return nil }
        func role(_ name: StaticString, _ role: Role) -> Role? { message.begins(with: name, at: start.utf8CodeUnitCount) ? role : nil }
        return switch first {
        case UInt8(ascii: "t"): role("tool\"", .tool)
        case UInt8(ascii: "a"): role("assistant\"", .assistant)
        case UInt8(ascii: "u"): role("user\"", .user)
        case UInt8(ascii: "s"): role("system\"", .system)
        default: nil
        }
    }

    /// Returns the role of any message; nil for JSON that has none. A person may have edited a
    /// message so that its role comes later.
    package static func role(of message: ByteBuffer) -> Role? {
        leadingRole(of: message) ?? (try? JSONSlice(parsing: message))?["role"]?.string.flatMap(Role.init(rawValue:))
    }

    private static var start: StaticString { #"{"role":""# }
}

extension ByteBuffer {
    /// Returns whether `text` stands `offset` bytes behind the first readable one.
    package func begins(with text: StaticString, at offset: Int = 0) -> Bool {
        withUnsafeReadableBytes { bytes in
            let length = text.utf8CodeUnitCount
            guard bytes.count >= offset + length, let start = bytes.baseAddress else { return length == 0 && bytes.count >= offset }
            return memcmp(start + offset, text.utf8Start, length) == 0
        }
    }

    /// Returns whether the readable bytes end with `text`.
    package func ends(with text: StaticString) -> Bool {
        readableBytes >= text.utf8CodeUnitCount && begins(with: text, at: readableBytes - text.utf8CodeUnitCount)
    }
}
