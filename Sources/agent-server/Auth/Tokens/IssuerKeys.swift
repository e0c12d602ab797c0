import JSONText
import JWTKit
import NIOCore

/// The public keys of the issuer at one moment, by their `kid`: a JSON Web Key Set (RFC 7517).
///
/// Immutable, and read by all event loops. jwt-kit keeps keys in an actor, for which each token
/// would queue; so this takes each key's algorithm out of it once.
struct IssuerKeys: Sendable {
    /// A larger document is not a set of keys.
    static let maximumBytes = 1 << 20
    /// No issuer has more keys. Each takes a fraction of a millisecond to read.
    static let maximumKeys = 256

    static let none = IssuerKeys(keys: [:], digest: nil)

    private let keys: [String: [TokenAlgorithm: any JWTAlgorithm]]
    /// The digest of the document, which a new set changes.
    let digest: KeyDigest?

    private init(keys: [String: [TokenAlgorithm: any JWTAlgorithm]], digest: KeyDigest?) {
        self.keys = keys
        self.digest = digest
    }

    /// The number of keys that can be used.
    var count: Int { keys.values.reduce(0) { $0 + $1.count } }

    /// Whether the set has a key of this id, for any algorithm.
    func knows(_ id: String) -> Bool { keys[id] != nil }

    /// Returns the key with which a token is verified. The key's algorithm counts: a token that names
    /// another one has no key.
    func key(_ id: String, _ algorithm: TokenAlgorithm) -> (any JWTAlgorithm)? { keys[id]?[algorithm] }

    /// Reads a set. Keys that cannot verify tokens are left out: those for encryption, of other
    /// algorithms, without a `kid`.
    ///
    /// - Throws: ``CredentialFileError`` for a text that is not a set, or has no key to use.
    init(parsing bytes: ByteBuffer) async throws(CredentialFileError) {
        let value: JSONSlice
        do { value = try JSONSlice(parsing: bytes) } catch { throw CredentialFileError("not JSON: \(error)") }
        guard let list = value["keys"], list.kind == .array else {
            throw CredentialFileError("not a set of keys: the member keys is missing")
        }
        var keys: [String: [TokenAlgorithm: any JWTAlgorithm]] = [:]
        for entry in list.elements.prefix(Self.maximumKeys) {
            guard let key = IssuerKey(entry), let algorithm = await key.verifier() else { continue }
            // The first of two keys with one id stays.
            if keys[key.id]?[key.algorithm] == nil { keys[key.id, default: [:]][key.algorithm] = algorithm }
        }
        guard !keys.isEmpty else {
            throw CredentialFileError(
                "no key can be used: each needs a kid, and must be for \(TokenAlgorithm.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        self.init(keys: keys, digest: KeyDigest(of: bytes))
    }
}
