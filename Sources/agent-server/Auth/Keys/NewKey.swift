import JSONText
import NIOCore

/// A key that was just made, and its entry in a keys file.
struct NewKey {
    /// Random bytes of a key.
    private static let length = 32

    /// The key, which nothing but its owner keeps: `ark_ID_` and 43 characters. Scanners for secrets
    /// find it by its form.
    let text: String
    /// The entry, as one line of JSON.
    let entry: String

    /// - Parameters:
    ///   - id: The key's id, checked.
    ///   - members: Further members of the entry, as JSON.
    init(id: String, members: [(name: String, json: String)]) {
        var random = SystemRandomNumberGenerator()
        let bytes = (0..<Self.length).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        text = "ark_\(id)_\(Base64URL.text(of: bytes))"
        var json = ByteBuffer()
        json.writeString(#"{"id":"#)
        json.writeJSONString(id)
        json.writeString(#","sha256":"\#(KeyDigest(of: text).hexadecimal)""#)
        for member in members { json.writeString(",\"\(member.name)\":\(member.json)") }
        json.writeString("}")
        entry = String(buffer: json)
    }
}
