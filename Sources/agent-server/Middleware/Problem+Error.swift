import HTTPTypes
import Hummingbird
import Logging
import NIOCore

extension Problem {
    /// What a request's error is answered with.
    init(of error: any Error, _ request: Request, _ logger: Logger) {
        switch error {
        case let problem as Problem:
            self = problem
        case let error as HTTPError where error.status == .notFound:
            self = .missing(request)
        case let error as any HTTPResponseError:
            self.init(error.status, Self.code(error.status), error.status.reasonPhrase)
        case is NIOTooManyBytesError:
            self.init(.contentTooLarge, "body_too_large", "the request's body is too large")
        default:
            logger.error("a request failed", metadata: ["error": "\(error)", "code": "internal_error"])
            self.init(.internalServerError, "internal_error", "the request could not be handled")
        }
    }

    /// No route: either the path is unknown, or it knows other methods only.
    private static func missing(_ request: Request) -> Problem {
        let methods = Endpoint.methods(of: request.uri.path)
        guard !methods.isEmpty else { return Problem(.notFound, "not_found", "there is nothing at \(request.uri.path)") }
        return Problem(.methodNotAllowed, "method_not_allowed", "\(request.method) is not possible here")
            .with(.allow, (methods + (methods.contains(.get) ? [.head] : [])).map(\.rawValue).joined(separator: ", "))
    }

    private static func code(_ status: HTTPResponse.Status) -> String {
        switch status {
        case .badRequest: "invalid_request"
        case .contentTooLarge: "body_too_large"
        default: status.reasonPhrase.lowercased().replacing(" ", with: "_")
        }
    }
}
