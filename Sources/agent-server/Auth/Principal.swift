import Foundation
import SessionStore

/// In whose name a request acts, and what it may do. An ``Authenticator`` makes it from the
/// request's credential.
struct Principal: Sendable {
    /// Part of the key of each session that the request can name.
    var tenant: TenantID
    /// Whose sessions it reaches within the tenant.
    var requester: Requester
    var scopes: Scopes
    /// Whose usage its steps count for: the subject's account, or the account of a tenant's key, or
    /// both.
    var accounts: [Account]
    /// The credential in logs: a key's id, `jwt`, `ticket`, `internal` or `none`.
    var credential: String
    /// When the credential ends; nil for never.
    var expiresAt: Date?

    /// - Throws: ``Problem`` for a principal that lacks a scope.
    func require(_ scope: Scopes) throws(Problem) {
        guard scopes.isSuperset(of: scope) else { throw .lacks(scope.subtracting(scopes)) }
    }

    /// Everything in the standard tenant: the internal key, or a server without keys.
    ///
    /// - Parameter limits: What all its requests together may use.
    static func unrestricted(_ credential: String, limits: UsageLimits = .none) -> Principal {
        Principal(
            tenant: .standard, requester: .tenant, scopes: .all,
            accounts: [Account(key: credential, tenant: .standard, limits: limits)], credential: credential)
    }
}
