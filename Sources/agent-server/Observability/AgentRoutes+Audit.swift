import HTTPTypes
import Hummingbird
import Logging
import SessionStore

/// What the routes log of security events.
extension AgentRoutes {
    /// Handles a request, and logs it if its principal may not do that, or not so often.
    func audited<Value>(_ request: Request, _ context: Context, _ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch let problem as Problem {
            switch problem.code {
            case Problem.Code.forbidden.rawValue:
                audit.note(
                    .authFailed, context,
                    [
                        "method": .string(request.method.rawValue), "path": .string(LogText.path(request.uri.path)),
                        "code": .string(problem.code), "key": "scope",
                    ])
            case _ where problem.status == .tooManyRequests:
                audit.note(.limitRefused, context, ["code": .string(problem.code)])
            default: break
            }
            throw problem
        }
    }

    /// Logs that another principal than a session's owner reads it.
    ///
    /// - Parameter owner: The owner if the caller knows it, empty for none. Otherwise it is read, if a
    ///   line needs it.
    func noteRead(_ session: SessionID, owner: String? = nil, _ context: Context) async {
        await noteUse(.sessionRead, session, owner: owner, context)
    }

    /// Logs that another principal than a session's owner has cancelled its step.
    func noteCancel(_ session: SessionID, _ context: Context) async {
        await noteUse(.stepCancelled, session, context)
    }

    /// Logs an event if the session has an owner, and the request does not act for it: only the keys
    /// of a whole tenant reach such a session.
    private func noteUse(_ event: AuditEvent, _ session: SessionID, owner: String? = nil, _ context: Context) async {
        guard audit.includes(event), context.principal.requester == .tenant else { return }
        var owner = owner
        if owner == nil { owner = try? await store.state(session, as: .tenant)?.subject }
        guard let subject = owner.flatMap({ Subject($0) }) else { return }
        audit.note(event, context, session: session, target: subject)
    }

    /// Returns what logs that a message has created its session; nil if that leaves no line.
    func whenCreated(_ session: SessionID, _ context: Context) -> (@Sendable () -> Void)? {
        guard audit.includes(.sessionCreated) else { return nil }
        return { [audit] in audit.note(.sessionCreated, context, session: session) }
    }
}
