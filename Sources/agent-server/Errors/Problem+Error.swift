import HTTPTypes
import Hummingbird
import Logging
import NIOCore

extension Problem {
    /// The problem of any error that a request can end with.
    init(of error: any Error, _ request: Request, _ logger: Logger) {
        switch error {
        case let problem as Problem:
            self = problem
        case let error as HTTPError where error.status == .notFound:
            self = .noRoute(request)
        case let error as any HTTPResponseError:
            self.init(error.status, Self.code(error.status), error.status.reasonPhrase)
        case is NIOTooManyBytesError:
            self = .bodyTooLarge
        default:
            logger.error("a request failed", metadata: ["error": "\(error)", "code": "internal_error"])
            self = .unexpected
        }
    }

    static var unexpected: Problem { Problem(.internalError, "the request could not be handled") }

    /// The code of an error of the HTTP framework itself.
    private static func code(_ status: HTTPResponse.Status) -> String {
        switch status {
        case .badRequest: Code.invalidRequest.rawValue
        case .contentTooLarge: Code.bodyTooLarge.rawValue
        default: status.reasonPhrase.lowercased().replacing(" ", with: "_")
        }
    }
}
