/// base64url without padding (RFC 4648, section 5), as JSON Web Tokens have it (RFC 7515, section
/// 2).
enum Base64URL {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 0xFF, count: 256)
        for (value, byte) in alphabet.enumerated() { values[Int(byte)] = UInt8(value) }
        return values
    }()

    static func text(of bytes: some Sequence<UInt8>) -> String {
        var output: [UInt8] = []
        var (held, count) = (0 as UInt32, 0)
        for byte in bytes {
            held = held << 8 | UInt32(byte)
            count += 8
            while count >= 6 {
                count -= 6
                output.append(alphabet[Int(held >> count) & 63])
            }
        }
        if count > 0 { output.append(alphabet[Int(held << (6 - count)) & 63]) }
        return String(decoding: output, as: UTF8.self)
    }

    /// Returns the bytes of a text; nil if it has another character, or one character too many or
    /// too few.
    static func bytes(of text: some Collection<UInt8>) -> [UInt8]? {
        guard text.count % 4 != 1 else { return nil }
        var output: [UInt8] = []
        output.reserveCapacity(text.count * 3 / 4)
        var (held, count) = (0 as UInt32, 0)
        for byte in text {
            let value = values[Int(byte)]
            guard value < 64 else { return nil }
            held = held << 6 | UInt32(value)
            count += 6
            guard count >= 8 else { continue }
            count -= 8
            output.append(UInt8(truncatingIfNeeded: held >> count))
        }
        // The bits that stand for no byte are zero, so that no two texts are the same bytes.
        return held & ((1 << count) - 1) == 0 ? output : nil
    }
}
