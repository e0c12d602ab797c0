import Hummingbird

/// Finds a request's principal by one kind of credential.
///
/// ``CredentialChain`` has all kinds, in the order in which they count. A kind reads its own place
/// in the request (a header, a parameter, a cookie) and nothing else.
protocol Authenticator: Sendable {
    /// Returns the principal of the request's credential; nil if the request has no credential of
    /// this kind.
    ///
    /// - Throws: ``AuthFailure`` if the request has a credential of this kind that opens nothing.
    func principal(of request: Request, context: AgentRequestContext) async throws(AuthFailure) -> Principal?
}

/// All kinds of credentials of a server. The first kind that the request has decides: a wrong key
/// is refused, and no cookie beside it is read.
struct CredentialChain: Sendable {
    var kinds: [any Authenticator]

    /// Returns the request's principal.
    ///
    /// - Throws: ``AuthFailure`` for a request without a credential, or with one that opens nothing.
    func principal(of request: Request, context: AgentRequestContext) async throws(AuthFailure) -> Principal {
        for kind in kinds {
            if let principal = try await kind.principal(of: request, context: context) { return principal }
        }
        throw AuthFailure(.missing)
    }
}
