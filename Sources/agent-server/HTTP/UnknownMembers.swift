import JSONText
import Locks
import NIOCore

/// The members of one request's body that its endpoint does not know: most likely misspelt ones.
/// The request succeeds or fails as without them, and the response names them in a header.
final class UnknownMembers: Sendable {
    /// A larger body is not searched: the search reads all of it.
    static let maximumBodyBytes = 256 << 10
    /// How many members are named.
    static let maximumNames = 8
    /// How much of a name is shown, in bytes.
    static let maximumNameBytes = 64

    private let names = Guarded<[String]>([])

    /// Notes the unknown members of a body, if it is a JSON object.
    func note(_ body: ByteBuffer, known: Set<String>) {
        guard !known.isEmpty, body.readableBytes <= Self.maximumBodyBytes, let value = try? JSONSlice(parsing: body) else {
            return
        }
        var found: [String] = []
        Self.collect(value, under: "", known: known, into: &found)
        if !found.isEmpty { names.withLock { [found] in $0 = found } }
    }

    /// The header's value; nil if there are none.
    var header: String? {
        let names = names.withLock { $0 }
        guard !names.isEmpty else { return nil }
        let more = names.count > Self.maximumNames ? ", ..." : ""
        return names.prefix(Self.maximumNames).map(Self.cleaned).joined(separator: ", ") + more
    }

    /// Collects one name more than the header shows. Looks into a member only if some of its own
    /// members are known.
    private static func collect(_ value: JSONSlice, under path: String, known: Set<String>, into found: inout [String]) {
        for member in value.members {
            guard found.count <= maximumNames else { return }
            let name = path + member.key.string
            guard known.contains(name) else {
                if !found.contains(name) { found.append(name) }
                continue
            }
            if member.value.kind == .object, known.contains(where: { $0.hasPrefix("\(name).") }) {
                collect(member.value, under: "\(name).", known: known, into: &found)
            }
        }
    }

    /// Returns a name as it may stand in a header: short, and without characters that separate
    /// names or end the header.
    private static func cleaned(_ name: String) -> String {
        let bytes = name.utf8.prefix(maximumNameBytes).map { byte in
            isHarmless(byte) ? byte : UInt8(ascii: "?")
        }
        return String(decoding: bytes, as: UTF8.self) + (name.utf8.count > maximumNameBytes ? "..." : "")
    }

    private static func isHarmless(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."): true
        default: false
        }
    }
}
