import HTTPTypes
import Hummingbird
import NIOCore

/// Guards a server without a key against web pages in a browser on its own machine.
///
/// A page may send requests to any address, loopback's too. One whose own name was pointed at
/// loopback (DNS rebinding) may read the answers; its requests name that host in `Host`. Others are
/// not shown the answers, and are known by `Origin` or `Sec-Fetch-Site`. What neither header tells
/// needs a body that is declared as JSON, which a page may not send without asking first
/// (https://fetch.spec.whatwg.org/#cors-preflight-fetch).
struct LoopbackMiddleware: RouterMiddleware {
    typealias Context = AgentRequestContext

    let allowed: Set<HostName>

    func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        // A balancer asks for health by whatever name it has.
        guard !Endpoint.isOpen(request.uri.path) else { return try await next(request, context) }
        guard isOwnName(request.head.authority, context) else {
            throw Problem(
                .misdirectedRequest, "misdirected",
                "Host names neither loopback nor a name of \(Setting.allowedHosts.name)")
        }
        guard request.headers[.secFetchSite]?.lowercased() != "cross-site", isOwnOrigin(request.headers[.origin]) else {
            throw Problem(
                .forbidden, "forbidden_origin",
                "web pages of other hosts may not send requests; see \(Setting.allowedHosts.name)")
        }
        return try await next(request, context)
    }

    private func isOwnName(_ authority: String?, _ context: Context) -> Bool {
        let name = authority.flatMap { HostName(authority: $0) }
        if let name, isAllowed(name) { return true }
        // HTTP/1.0 needs no Host, and proxies that speak it put their own name for the server
        // there, which has no dots. No browser speaks it.
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
