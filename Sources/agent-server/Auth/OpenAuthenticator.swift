import Hummingbird

/// The authenticator of a server without credentials: each request may do everything. Such a server
/// listens on loopback alone, and ``LoopbackMiddleware`` refuses web pages.
struct OpenAuthenticator: Authenticator {
    private let everything = Principal.unrestricted("none")

    func principal(of request: Request, context: AgentRequestContext) async throws(AuthFailure) -> Principal? {
        everything
    }
}
