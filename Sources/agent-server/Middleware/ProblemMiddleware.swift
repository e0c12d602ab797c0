import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// Turns every error into a problem answer, so that no other shape of error leaves the server.
struct ProblemMiddleware<Context: RequestContext>: RouterMiddleware {
    func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let problem as Problem {
            return problem.response
        } catch let error as HTTPError where error.status == .notFound {
            return missing(request)
        } catch let error as any HTTPResponseError {
            let status = error.status
            return Problem(status, Self.code(status), status.reasonPhrase).response
        } catch is NIOTooManyBytesError {
            return Problem(.contentTooLarge, "body_too_large", "the request's body is too large").response
        } catch let error as CancellationError {
            throw error
        } catch {
            context.logger.error("a request failed", metadata: ["error": "\(error)"])
            return Problem(.internalServerError, "internal_error", "the request could not be handled").response
        }
    }

    /// No route: either the path is unknown, or it knows other methods only.
    private func missing(_ request: Request) -> Response {
        let methods = Endpoint.methods(of: request.uri.path)
        guard !methods.isEmpty else { return Problem(.notFound, "not_found", "there is nothing at \(request.uri.path)").response }
        return Problem(.methodNotAllowed, "method_not_allowed", "\(request.method) is not possible here")
            .with(.allow, (methods + (methods.contains(.get) ? [.head] : [])).map(\.rawValue).joined(separator: ", ")).response
    }

    static func code(_ status: HTTPResponse.Status) -> String {
        switch status {
        case .badRequest: "invalid_request"
        case .contentTooLarge: "body_too_large"
        default: status.reasonPhrase.lowercased().replacing(" ", with: "_")
        }
    }
}
