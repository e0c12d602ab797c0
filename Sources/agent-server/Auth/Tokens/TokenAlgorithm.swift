/// The algorithms with which tokens may be signed (RFC 7518, RFC 8037). All are asymmetric: with a
/// shared secret, each server that checks tokens could make some.
enum TokenAlgorithm: String, Sendable, CaseIterable {
    case rs256 = "RS256"
    case es256 = "ES256"
    case eddsa = "EdDSA"
}
