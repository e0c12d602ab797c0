import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// The outermost middleware. It gives each request an id, turns every error into a problem response,
/// so that no other form of error leaves the server, names unknown members of the body, and logs
/// one line.
///
/// The id is the client's own `X-Request-ID` if that is harmless.
struct AccessMiddleware: RouterMiddleware {
    typealias Context = AgentRequestContext

    func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        let begun = ContinuousClock.now
        var context = context
        let id = request.headers[.requestID].flatMap { Self.isHarmless($0) ? $0 : nil } ?? Self.make()
        context.requestID = id
        context.logger[metadataKey: "request"] = "\(id)"
        // The HTTP server's own number of the request.
        context.logger[metadataKey: "hb.request.id"] = nil
        var problem: Problem?
        var response: Response
        do {
            response = try await next(request, context)
        } catch let error as CancellationError {
            throw error
        } catch {
            let found = Problem(of: error, request, context.logger)
            problem = found
            response = found.response
        }
        // No response to HEAD has a body: a client would take one for its next response.
        if request.method == .head { response = response.createHeadResponse() }
        response.headers[.requestID] = id
        response.headers[.unknownMembers] = context.unknownMembers.header
        log(request, response.status, problem, since: begun, context)
        return response
    }

    /// Logs one line for each request, when its response begins. The log's thread writes the values
    /// that cost time.
    private func log(
        _ request: Request, _ status: HTTPResponse.Status, _ problem: Problem?, since begun: ContinuousClock.Instant, _ context: Context
    ) {
        guard context.logger.logLevel <= .info else { return }
        var metadata: Logger.Metadata = [
            "method": .string(request.method.rawValue),
            "path": .string(LogText.path(request.uri.path)),
            "status": .stringConvertible(status.code),
            "duration_ms": .stringConvertible(LogText.Milliseconds(duration: begun.duration(to: .now))),
            "client": .stringConvertible(LogText.Client(address: context.channel.remoteAddress)),
        ]
        if let problem {
            metadata["code"] = .string(problem.code)
            if let cause = problem.cause { metadata["error"] = .string(cause) }
        }
        context.logger.info("request", metadata: metadata)
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
