/// Makes call ids in the narrowest form that a model's server asks for: Mistral wants nine letters
/// and digits.
enum CallIDGenerator {
    private static let length = 9
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".utf8)

    /// Returns an id of 53 random bits. The caller checks that the session does not have it yet.
    static func make() -> String {
        String(unsafeUninitializedCapacity: length) { bytes in
            for index in 0..<length { bytes[index] = alphabet.randomElement() ?? UInt8(ascii: "0") }
            return length
        }
    }
}
