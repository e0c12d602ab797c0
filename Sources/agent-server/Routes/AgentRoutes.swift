import AgentService
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import SessionStore

/// What the routes work with.
struct AgentRoutes: Sendable {
    typealias Context = AgentRequestContext

    let settings: Settings
    let service: TurnService
    let store: RedisSessionStore
    let scheduler: StepScheduler
    /// Bodies that are being read, and those of messages that wait.
    let bodies: ByteBudget

    /// The whole router, middleware included.
    func router() -> Router<Context> {
        let router = Router(context: Context.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: AccessMiddleware())
        if let key = settings.internalAPIKey {
            router.add(middleware: AuthMiddleware(key: key))
        } else {
            router.add(middleware: LoopbackMiddleware(allowed: settings.allowedHosts))
        }
        for endpoint in Endpoint.allCases {
            router.on(endpoint.routerPath, method: endpoint.method) { request, context in
                try await respond(endpoint, request, context)
            }
        }
        return router
    }

    private func respond(_ endpoint: Endpoint, _ request: Request, _ context: Context) async throws -> Response {
        switch endpoint {
        case .health: health()
        case .healthLive: .json("{\"status\":\"alive\"}")
        case .healthReady: try ready()
        case .messageStream: try await messageStream(request, context)
        case .legacyMessage: try await legacyMessage(request, context)
        case .listSessions: try await listSessions(request)
        case .session: try await session(context)
        case .history: try await history(request, context)
        case .sessionStream: try await sessionStream(request, context)
        case .cancel: try await cancel(request, context)
        case .rewind: try await rewind(request, context)
        case .deleteSession: try await deleteSession(context)
        case .openAPI:
            Response(
                status: .ok, headers: [.contentType: "application/json"],
                body: ResponseBody(byteBuffer: ByteBuffer(bytes: PackageResources.openapi_json)))
        }
    }

    func sessionID(_ context: Context) throws -> SessionID {
        guard let id = context.parameters.get("session_id").flatMap({ SessionID($0.removingPercentEncoding ?? $0) }) else {
            throw Problem(.badRequest, "invalid_request", "session_id must be 1–128 of A-Z a-z 0-9 . _ : -, and not . or ..")
        }
        return id
    }

    /// A whole number from the query.
    func queryInteger(_ name: String, _ request: Request, default fallback: Int, in range: ClosedRange<Int>) throws -> Int {
        guard let text = request.uri.queryParameters.get(name) else { return fallback }
        guard let value = Int(text), range.contains(value) else {
            throw Problem(.badRequest, "invalid_request", "\(name) must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    /// `true` or `false` from the query; false where it is absent.
    func queryBoolean(_ name: String, _ request: Request) throws -> Bool {
        switch request.uri.queryParameters.get(name) {
        case nil, "false": return false
        case "true": return true
        default: throw Problem(.badRequest, "invalid_request", "\(name) must be true or false")
        }
    }
}

extension Response {
    static func json(_ text: String) -> Response {
        json(ByteBuffer(string: text))
    }

    static func json(_ body: ByteBuffer, status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json", .cacheControl: "no-store"], body: ResponseBody(byteBuffer: body))
    }
}

extension StringProtocol {
    var trimmingSpaces: String {
        var text = Substring(self)
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
