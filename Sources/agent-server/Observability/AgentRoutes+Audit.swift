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

    /// Returns what logs that a message has created its session; nil if that leaves no line.
    func whenCreated(_ session: SessionID, _ context: Context) -> (@Sendable () -> Void)? {
        guard audit.includes(.sessionCreated) else { return nil }
        return { [audit] in audit.note(.sessionCreated, context, session: session) }
    }
}
