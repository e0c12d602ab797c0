import Hummingbird
import SessionStore

/// The authenticator of a server without credentials: each request may do everything. Such a server
/// listens on loopback alone, and ``LoopbackMiddleware`` refuses web pages.
struct OpenAuthenticator: Authenticator {
    private let everything: Principal

    /// - Parameter limits: What all requests together may use.
    init(limits: UsageLimits) {
        everything = .unrestricted("none", limits: limits)
    }

    func principal(of request: Request, context: AgentRequestContext) async throws(AuthFailure) -> Principal? {
        everything
    }
}
