import HTTPTypes
import SessionStore

extension Principal {
    /// Acts for the subject that `X-Agent-Subject` names, if the request has that header. A gateway
    /// with one key for all its users names the user of each request this way.
    ///
    /// - Parameter limits: Returns what a subject may use.
    /// - Throws: ``Problem`` for a principal that may not do so, and for a header that names no
    ///   subject.
    mutating func impersonate(_ headers: HTTPFields, limits: (Subject, TenantID) -> UsageLimits) throws(Problem) {
        let names = headers[values: .agentSubject]
        guard !names.isEmpty else { return }
        guard scopes.contains(.impersonate) else { throw .lacks(.impersonate) }
        // A user, or a key of one user, stays that user.
        guard requester == .tenant else { throw .actsForItself }
        // HTTP has replaced bytes that are not UTF-8. Two users must not become one.
        guard names.count == 1, let name = names.first, !name.unicodeScalars.contains("\u{FFFD}"), let subject = Subject(name) else {
            throw .badSubject
        }
        requester = .subject(subject)
        accounts.append(Account(subject, tenant: tenant, limits: limits(subject, tenant)))
    }
}
