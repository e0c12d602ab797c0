import Foundation
import JWTKit
import SessionStore

/// Finds the principals of JSON Web Tokens.
struct TokenVerifier: Sendable {
    let rules: TokenRules
    let store: CredentialStore
    /// Fetches the issuer's keys; nil if they stand in a file.
    let source: IssuerKeySource?

    /// Returns the principal of a token.
    ///
    /// - Throws: ``AuthFailure`` for a token that opens nothing, or that cannot be judged because the
    ///   issuer is away.
    func principal(of text: String, _ digest: KeyDigest, now: Date = Date()) async throws(AuthFailure) -> Principal {
        if let principal = store.current.tokens.principal(digest, at: now) { return principal }
        let token = try Token(text)
        // Before the signature: a token that cannot be meant for this server costs no fetch.
        let claims = try rules.claims(of: token, at: now)
        let (key, credentials) = try await key(of: token)
        guard (try? key.verify(token.signature, signs: Array(token.signed))) == true else { throw .token("the signature is wrong") }
        let principal = Principal(
            tenant: claims.tenant, requester: .subject(claims.subject), scopes: claims.scopes,
            accounts: [
                Account(
                    claims.subject, tenant: claims.tenant, limits: credentials.table.limits(of: claims.subject, in: claims.tenant))
            ],
            credential: "jwt", expiresAt: claims.expiresAt)
        let end = claims.expiresAt.addingTimeInterval(TimeInterval(rules.leeway.components.seconds))
        credentials.tokens.insert(principal, digest, until: end)
        return principal
    }

    /// Returns the key of a token, and the credentials that have it. Fetches the issuer's keys if
    /// they do not have this one: the issuer may have added it.
    private func key(of token: Token) async throws(AuthFailure) -> (any JWTAlgorithm, Credentials) {
        // A fetch that is under way may have begun before the issuer added the key. Then a second
        // one follows.
        for attempt in 0...2 {
            let credentials = store.current
            if credentials.issuer.knows(token.keyID) {
                guard let key = credentials.issuer.key(token.keyID, token.algorithm) else { throw .token("alg is not the key's") }
                return (key, credentials)
            }
            guard attempt < 2, let source else { break }
            guard await source.refresh() else { throw AuthFailure(.unchecked, credential: "jwt") }
        }
        throw .token("kid is unknown")
    }
}
