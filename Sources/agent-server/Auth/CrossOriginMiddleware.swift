import HTTPTypes
import Hummingbird

/// Lets web pages of the configured origins send requests and read the responses
/// (https://fetch.spec.whatwg.org/#http-cors-protocol).
///
/// It responds to preflights itself, before any key is checked: a browser sends them without one.
/// A page of another origin gets what it would get from a server without this middleware.
struct CrossOriginMiddleware: RouterMiddleware {
    typealias Context = AgentRequestContext

    let origins: AllowedOrigins

    /// The headers that a page may send, beside those that need no permission.
    private static let requestHeaders = """
        authorization, content-type, idempotency-key, last-event-id, traceparent, x-request-id, x-agent-subject, x-internal-auth
        """
    /// The headers that a page may read, beside those that need no permission.
    private static let responseHeaders = """
        location, retry-after, ratelimit, ratelimit-policy, x-request-id, x-agent-replica, x-agent-unknown-members, traceresponse, \
        www-authenticate, allow, deprecation, link
        """
    /// Seconds for which a browser may keep the response to a preflight.
    private static let maximumAge = "600"

    func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        let fields = fields(for: request.headers[.origin])
        if let preflight = preflight(request, fields) { return preflight }
        do {
            var response = try await next(request, context)
            response.headers.append(contentsOf: fields)
            return response
        } catch let error as CancellationError {
            throw error
        } catch {
            var problem = Problem(of: error, request, context.logger)
            problem.headers.append(contentsOf: fields)
            throw problem
        }
    }

    /// Returns the fields of every response: a cache must not give one page's response to another.
    private func fields(for origin: String?) -> HTTPFields {
        var fields: HTTPFields = [.vary: "Origin"]
        guard let origin, origins.allow(origin) else { return fields }
        fields[.accessControlExposeHeaders] = Self.responseHeaders
        guard !origins.isAny else {
            fields[.accessControlAllowOrigin] = "*"
            return fields
        }
        fields[.accessControlAllowOrigin] = origin
        // The cookie of a stream's ticket is the only cookie that the server knows.
        fields[.accessControlAllowCredentials] = "true"
        return fields
    }

    /// Returns the response to a preflight of an allowed origin for a known path; nil for all else.
    private func preflight(_ request: Request, _ fields: HTTPFields) -> Response? {
        guard request.method == .options, request.headers[.accessControlRequestMethod] != nil,
            fields[.accessControlAllowOrigin] != nil
        else { return nil }
        let methods = Endpoint.methods(of: request.uri.path)
        guard !methods.isEmpty else { return nil }
        var fields = fields
        fields[.accessControlExposeHeaders] = nil
        fields[.accessControlAllowMethods] = methods.map(\.rawValue).joined(separator: ", ")
        fields[.accessControlAllowHeaders] = Self.requestHeaders
        fields[.accessControlMaxAge] = Self.maximumAge
        return Response(status: .noContent, headers: fields)
    }
}
