/// The right to write to a session, as a secret that only its holder knows: 128 random bits. The
/// replica mints it itself, so that it can send a call again with the same token when the reply was
/// lost.
public struct LeaseToken: Sendable, Hashable {
    /// 26 characters of the alphabet below.
    public let text: String
    /// Four characters that distinguish this lease's event ids from those of another lease with the
    /// same fence, which Redis can hand out after a failover.
    public let nonce: String

    /// Makes a random token.
    public init() {
        var generator = SystemRandomNumberGenerator()
        self.init(using: &generator)
    }

    /// Makes a token from the numbers of `generator`.
    public init(using generator: inout some RandomNumberGenerator) {
        text = Self.word(26, using: &generator)
        nonce = Self.word(4, using: &generator)
    }

    private static let alphabet = Array("abcdefghijkmnpqrstuvwxyz23456789".utf8)

    private static func word(_ length: Int, using generator: inout some RandomNumberGenerator) -> String {
        String(unsafeUninitializedCapacity: length) { bytes in
            var bits: UInt64 = 0
            for index in 0..<length {
                if index % 12 == 0 { bits = generator.next() }
                bytes[index] = alphabet[Int(bits & 31)]
                bits >>= 5
            }
            return length
        }
    }
}
