import HTTPTypes
import Hummingbird
import NIOCore

/// Guards a server without a key against web pages in a browser on its own machine.
///
/// A page may send requests to any address, also to loopback. A page whose own name was pointed at
/// loopback (DNS rebinding) may read the responses; its requests name that host in `Host`. Browsers
/// do not show the responses to other pages, and mark their requests with `Origin` or
/// `Sec-Fetch-Site`. A request with neither header needs a body that is declared as JSON, which a
/// page may not send without a preflight (https://fetch.spec.whatwg.org/#cors-preflight-fetch).
struct LoopbackMiddleware: RouterMiddleware {
    typealias Context = AgentRequestContext

    let allowed: Set<HostName>
    /// Pages of other hosts that may use the server (``CrossOriginMiddleware``). The server's own
    /// name must be in `Host` all the same.
    let origins: AllowedOrigins

    func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        // A load balancer asks for health under any name.
        guard !Endpoint.isOpen(request.uri.path) else { return try await next(request, context) }
        guard isOwnName(request.head.authority, context) else {
            throw Problem.misdirected
        }
        guard origins.allow(request.headers[.origin]) || isOwnPage(request.headers) else {
            throw Problem.forbiddenOrigin
        }
        return try await next(request, context)
    }

    private func isOwnPage(_ headers: HTTPFields) -> Bool {
        headers[.secFetchSite]?.lowercased() != "cross-site" && isOwnOrigin(headers[.origin])
    }

    private func isOwnName(_ authority: String?, _ context: Context) -> Bool {
        let name = authority.flatMap { HostName(authority: $0) }
        if let name, isAllowed(name) { return true }
        // HTTP/1.0 needs no Host. Proxies that speak it send their own name for the server, which
        // has no dots. No browser speaks it.
        return context.isHTTP10 && (authority == nil || name?.isSingleLabel == true)
    }

    private func isOwnOrigin(_ origin: String?) -> Bool {
        guard let origin else { return true }
        return HostName(url: origin).map(isAllowed) ?? false
    }

    private func isAllowed(_ name: HostName) -> Bool {
        name.isLoopback || allowed.contains(name)
    }
}
