import HTTPTypes
import Hummingbird
import Logging

/// Gives each request an id, in its logs and its answer: the client's own `X-Request-ID` where it is harmless.
struct RequestIDMiddleware: RouterMiddleware {
    typealias Context = AgentRequestContext

    func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        var context = context
        let id = request.headers[.requestID].flatMap { Self.isHarmless($0) ? $0 : nil } ?? Self.make()
        context.logger[metadataKey: "request"] = "\(id)"
        var response = try await next(request, context)
        // The answer to HEAD has no body, whoever made it: a client would take one for the next answer.
        if request.method == .head { response = response.createHeadResponse() }
        response.headers[.requestID] = id
        context.logger.debug(
            "request",
            metadata: [
                "method": "\(request.method)", "path": "\(request.uri.path)", "status": "\(response.status.code)",
            ])
        return response
    }

    private static func isHarmless(_ id: String) -> Bool {
        !id.isEmpty && id.utf8.count <= 64
            && id.utf8.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x2D || $0 == 0x5F
            }
    }

    private static func make() -> String {
        String(UInt64.random(in: .min ... .max), radix: 36)
    }
}
