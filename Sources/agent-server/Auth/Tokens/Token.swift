import JSONText
import NIOCore

/// A JSON Web Token in compact form (RFC 7515, section 3.1), taken apart and not yet believed.
struct Token: Sendable {
    /// The `typ` of access tokens (RFC 9068), and of tokens that do not say what they are for. Tokens
    /// for other purposes name it, and open nothing here.
    private static let types: Set = ["at+jwt", "application/at+jwt", "jwt", "application/jwt"]

    let algorithm: TokenAlgorithm
    let keyID: String
    let claims: JSONSlice
    let signature: [UInt8]
    /// What the signature is of.
    let signed: Substring.UTF8View

    /// Returns whether a text has the form of a token: three parts with dots between.
    static func looksLike(_ text: String) -> Bool {
        text.utf8.count { $0 == UInt8(ascii: ".") } == 2
    }

    /// - Throws: ``AuthFailure`` for a text that is not a token, or one that cannot be used here.
    init(_ text: String) throws(AuthFailure) {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Self.object(parts[0]), let claims = Self.object(parts[1]),
            let signature = Base64URL.bytes(of: parts[2])
        else {
            throw .token("it is not a signed token")
        }
        guard let algorithm = header["alg"]?.string.flatMap({ TokenAlgorithm(rawValue: $0) }) else {
            throw .token("alg is none of \(TokenAlgorithm.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        guard let keyID = header["kid"]?.string else { throw .token("kid is missing") }
        if let type = header["typ"] {
            guard let type = type.string, Self.types.contains(type.lowercased()) else { throw .token("typ is neither at+jwt nor JWT") }
        }
        // An extension that must be understood (RFC 7515, section 4.1.11). This server knows none.
        guard header["crit"] == nil else { throw .token("crit names an extension") }
        self.algorithm = algorithm
        self.keyID = keyID
        self.claims = claims
        self.signature = signature
        signed = text[..<parts[1].endIndex].utf8
    }

    private static func object(_ part: Substring.UTF8View) -> JSONSlice? {
        guard let bytes = Base64URL.bytes(of: part), let value = try? JSONSlice(parsing: ByteBuffer(bytes: bytes)) else { return nil }
        return value.kind == .object ? value : nil
    }
}

extension AuthFailure {
    /// A token that opens nothing.
    static func token(_ detail: String) -> AuthFailure { AuthFailure(.wrong, credential: "jwt", detail: detail) }
}
