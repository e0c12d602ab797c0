import HTTPTypes
import Hummingbird

/// Keys and tokens in headers: `X-Internal-Auth`, or `Authorization: Bearer` (RFC 6750).
///
/// It looks up the SHA-256 of a key, so that no time depends on where two keys differ.
struct HeaderAuthenticator: Authenticator {
    /// A longer text is neither a key nor a token.
    private static let maximumLength = 16 << 10

    let store: CredentialStore
    /// Nil for a server without an issuer.
    let tokens: TokenVerifier?

    func principal(of request: Request, context: AgentRequestContext) async throws(AuthFailure) -> Principal? {
        let key = request.headers[.internalAuth]
        let authorization = request.headers[.authorization]
        guard key != nil || authorization != nil else { return nil }
        var failure = AuthFailure(.wrong)
        for text in [key, authorization.flatMap(Self.bearer)] {
            guard let text, text.utf8.count <= Self.maximumLength else { continue }
            do throws(AuthFailure) {
                let digest = KeyDigest(of: text)
                if let principal = try store.current.table.principal(digest, length: text.utf8.count) { return principal }
                if let tokens, Token.looksLike(text) { return try await tokens.principal(of: text, digest) }
            } catch {
                failure = error
            }
        }
        throw failure
    }

    /// Returns what stands behind `Bearer `, in letters of either case.
    private static func bearer(_ authorization: String) -> String? {
        let scheme = "bearer "
        guard authorization.prefix(scheme.count).lowercased() == scheme else { return nil }
        return String(authorization.dropFirst(scheme.count))
    }
}
