import HTTPTypes
import Hummingbird
import Logging

/// Gives each request its ``Principal``, and refuses requests without one. ``Endpoint`` says which
/// scope a principal needs.
///
/// Health checks need no credential. Unknown paths do, so that a client without one learns nothing
/// of the paths that exist.
struct AuthMiddleware: RouterMiddleware {
    typealias Context = AgentRequestContext

    let credentials: CredentialChain
    /// Knows what the subjects may use for whom a gateway acts.
    let store: CredentialStore
    let audit: AuditLog

    func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        guard !Endpoint.isOpen(request.uri.path) else { return try await next(request, context) }
        var context = context
        do throws(AuthFailure) {
            context.principal = try await credentials.principal(of: request, context: context)
        } catch {
            note(error, request, context)
            throw error.problem
        }
        try context.principal.impersonate(request.headers) { store.current.table.limits(of: $0, in: $1) }
        return try await next(request, context)
    }

    private func note(_ failure: AuthFailure, _ request: Request, _ context: Context) {
        var fields: Logger.Metadata = [
            "method": .string(request.method.rawValue), "path": .string(LogText.path(request.uri.path)),
            "code": .string(failure.problem.code), "key": .string(failure.reason.rawValue),
        ]
        if let credential = failure.credential { fields["credential"] = .string(credential) }
        if let detail = failure.detail { fields["reason"] = .string(detail) }
        audit.note(.authFailed, context, fields)
    }
}
