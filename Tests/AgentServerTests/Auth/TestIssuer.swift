import Crypto
import Foundation
import Locks
import TestSupport

@testable import agent_server

/// An issuer of tokens with one key at a time, behind a server of its own.
final class TestIssuer: Sendable {
    static let name = "https://issuer.example/"
    static let audience = "agents"

    private struct State {
        var keys: [(id: String, key: Curve25519.Signing.PrivateKey)] = []
        var isAway = false
    }

    private let state = Guarded(State())
    private let server = Guarded<RawUpstream?>(nil)

    /// Starts an issuer that publishes one key.
    static func start(keyID: String = "one") async throws -> TestIssuer {
        let issuer = TestIssuer()
        issuer.publish(keyID)
        let server = try await RawUpstream.start { [weak issuer] _ in
            guard let issuer, !issuer.isAway else { return [.close] }
            return RawUpstream.answer(issuer.keySet)
        }
        issuer.server.withLock { $0 = server }
        return issuer
    }

    var url: String { (server.withLock { $0?.url } ?? "") + "/keys" }
    var requests: Int { server.withLock { $0?.requests.count } ?? 0 }

    var isAway: Bool {
        get { state.withLock { $0.isAway } }
        set { state.withLock { $0.isAway = newValue } }
    }

    /// Adds a key.
    func publish(_ id: String) { state.withLock { $0.keys.append((id, Curve25519.Signing.PrivateKey())) } }

    /// Removes a key.
    func withdraw(_ id: String) { state.withLock { $0.keys.removeAll { $0.id == id } } }

    /// The keys as a set (RFC 7517, RFC 8037).
    var keySet: String {
        let keys = state.withLock { $0.keys.map { ($0.id, Base64URL.text(of: $0.key.publicKey.rawRepresentation)) } }
        return JSON.object(["keys": .array(keys.map { ["kty": "OKP", "crv": "Ed25519", "kid": .string($0), "x": .string($1)] })]).text
    }

    /// Settings of a server that takes the issuer's tokens.
    func settings(_ more: [String: String] = [:]) -> [String: String] {
        [
            "AGENT_RUNTIME__JWT_ISSUER": Self.name, "AGENT_RUNTIME__JWT_AUDIENCE": Self.audience, "AGENT_RUNTIME__JWT_JWKS_URL": url,
        ].merging(more) { $1 }
    }

    /// Returns a token.
    ///
    /// - Parameters:
    ///   - keyID: The key that the token names: one that is published, or an invented one.
    ///   - claims: Replace claims, or add some; null removes one.
    func token(_ keyID: String = "one", _ claims: [String: JSON] = [:]) throws -> String {
        let all: [String: JSON] = [
            "iss": .string(Self.name), "aud": .string(Self.audience), "sub": "alice",
            "exp": .number(Date().timeIntervalSince1970.rounded() + 600),
            "scope": "sessions:*",
        ]
        let key = state.withLock { $0.keys.first { $0.id == keyID }?.key } ?? Curve25519.Signing.PrivateKey()
        let header: JSON = ["alg": "EdDSA", "kid": .string(keyID), "typ": "at+jwt"]
        let parts = [header, .object(all.merging(claims) { $1 }.filter { $0.value != .null })]
        let signed = parts.map { Base64URL.text(of: Array($0.text.utf8)) }.joined(separator: ".")
        return signed + "." + Base64URL.text(of: try key.signature(for: Data(signed.utf8)))
    }
}
