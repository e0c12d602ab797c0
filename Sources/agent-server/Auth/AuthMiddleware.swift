import Crypto
import HTTPTypes
import Hummingbird
import Logging

/// Lets a request pass if it has the internal key, as `X-Internal-Auth` or as a bearer token (RFC
/// 6750).
///
/// It compares digests, not keys, so that the time does not depend on where two keys differ.
struct AuthMiddleware: RouterMiddleware {
    typealias Context = AgentRequestContext

    private let digest: SHA256.Digest
    private let refusals = RefusalLog()

    init(key: String) {
        digest = SHA256.hash(data: Array(key.utf8))
    }

    func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        guard Endpoint.isOpen(request.uri.path) || carriesKey(request.headers) else {
            refusals.note(
                [
                    "method": .string(request.method.rawValue), "path": .string(LogText.path(request.uri.path)),
                    "client": .stringConvertible(LogText.Client(address: context.channel.remoteAddress)), "code": "unauthorized",
                    "key": request.headers[.internalAuth] == nil && request.headers[.authorization] == nil ? "missing" : "wrong",
                ], context.logger, eventLoop: context.channel.eventLoop)
            throw Problem.unauthorized
        }
        return try await next(request, context)
    }

    private func carriesKey(_ headers: HTTPFields) -> Bool {
        if let key = headers[.internalAuth], matches(key) { return true }
        guard let authorization = headers[.authorization] else { return false }
        let scheme = "bearer "
        guard authorization.lowercased().hasPrefix(scheme) else { return false }
        return matches(String(authorization.dropFirst(scheme.count)))
    }

    private func matches(_ key: String) -> Bool {
        SHA256.hash(data: Array(key.utf8)) == digest
    }
}
