import JSONText
import JWTKit

/// One key of a set (RFC 7517), if it can verify tokens.
struct IssuerKey {
    let id: String
    let algorithm: TokenAlgorithm
    private let key: JWK

    /// Nil for a key that cannot be used, or should not.
    init?(_ value: JSONSlice) {
        func text(_ name: String) -> String? { value[name]?.string }
        guard let id = text("kid"), !id.isEmpty else { return nil }
        // A private key in a public place is not a secret any more, and a symmetric one never was.
        guard value["d"] == nil, text("use").map({ $0 == "sig" }) ?? true else { return nil }
        if let operations = value["key_ops"], !operations.elements.contains(where: { $0.string == "verify" }) { return nil }
        let kid = JWKIdentifier(string: id)
        switch (text("kty"), text("crv")) {
        case ("RSA", nil):
            guard let modulus = text("n"), let exponent = text("e") else { return nil }
            algorithm = .rs256
            key = .rsa(.rs256, identifier: kid, modulus: modulus, exponent: exponent)
        case ("EC", "P-256"):
            guard let x = text("x"), let y = text("y") else { return nil }
            algorithm = .es256
            key = .ecdsa(.es256, identifier: kid, x: x, y: y, curve: .p256)
        case ("OKP", "Ed25519"):
            guard let x = text("x") else { return nil }
            algorithm = .eddsa
            key = .octetKeyPair(.eddsa, identifier: kid, x: x, y: nil, curve: .ed25519)
        default:
            return nil
        }
        // Many issuers leave `alg` out; then the kind of the key decides.
        if let stated = value["alg"], stated.string != algorithm.rawValue { return nil }
        self.id = id
    }

    /// Returns what verifies signatures; nil if the key's numbers make no key, or one that is too
    /// small.
    func verifier() async -> (any JWTAlgorithm)? {
        let collection = JWTKeyCollection()
        guard (try? await collection.add(jwk: key)) != nil else { return nil }
        return try? await collection.getKey(for: JWKIdentifier(string: id), alg: algorithm.rawValue)
    }
}
