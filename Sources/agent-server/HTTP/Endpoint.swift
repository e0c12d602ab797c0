import HTTPTypes
import Hummingbird

/// Every method and path of the server. The router is made from this list, and tests hold
/// `/openapi.json` and docs/http-api.md against it.
enum Endpoint: CaseIterable {
    case health, healthLive, healthReady
    case messageStream, legacyMessage
    case listSessions, session, history, sessionStream, cancel, rewind, deleteSession, ticket
    case usage, eraseSubject, exportSubject
    case openAPI

    var method: HTTPRequest.Method {
        switch self {
        case .messageStream, .legacyMessage, .cancel, .rewind, .ticket: .post
        case .deleteSession, .eraseSubject: .delete
        default: .get
        }
    }

    /// The path in OpenAPI's form.
    var path: String {
        switch self {
        case .health: "/health"
        case .healthLive: "/health/live"
        case .healthReady: "/health/ready"
        case .messageStream: "/agent/message/stream"
        case .legacyMessage: "/agent/message/stream/legacy"
        case .listSessions: "/agent/sessions"
        case .session, .deleteSession: "/agent/sessions/{session_id}"
        case .history: "/agent/sessions/{session_id}/history"
        case .sessionStream: "/agent/sessions/{session_id}/stream"
        case .cancel: "/agent/sessions/{session_id}/cancel"
        case .rewind: "/agent/sessions/{session_id}/rewind"
        case .ticket: "/agent/sessions/{session_id}/tickets"
        case .usage: "/agent/usage"
        case .eraseSubject: "/agent/subjects/{subject}"
        case .exportSubject: "/agent/subjects/{subject}/export"
        case .openAPI: "/openapi.json"
        }
    }

    var routerPath: RouterPath { RouterPath(path) }

    /// Whether a path needs no key: load balancers, which have none, send the health checks.
    static func isOpen(_ path: String) -> Bool {
        path == "/health" || path.hasPrefix("/health/")
    }

    /// Returns the methods that a path has; none for an unknown path.
    static func methods(of path: String) -> [HTTPRequest.Method] {
        let segments = path.split(separator: "/")
        return allCases.filter { endpoint in
            let pattern = endpoint.path.split(separator: "/")
            return pattern.count == segments.count && zip(pattern, segments).allSatisfy { $0.hasPrefix("{") || $0 == $1 }
        }.map(\.method)
    }
}
