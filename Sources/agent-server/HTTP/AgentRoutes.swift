import AgentService
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import SessionStore

/// The routes, and the parts of the server that they use.
struct AgentRoutes: Sendable {
    typealias Context = AgentRequestContext

    let settings: Settings
    let service: TurnService
    let store: RedisSessionStore
    let scheduler: StepScheduler
    /// Counts the bodies that are being read, and those of messages that wait.
    let bodies: ByteBudget
    let access: AccessParts
    let audit: AuditLog

    /// Returns the whole router, middleware included.
    func router() -> Router<Context> {
        let router = Router(context: Context.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: AccessMiddleware())
        if !settings.corsOrigins.isEmpty { router.add(middleware: CrossOriginMiddleware(origins: settings.corsOrigins)) }
        if !settings.hasCredentials {
            router.add(middleware: LoopbackMiddleware(allowed: settings.allowedHosts, origins: settings.corsOrigins))
        }
        router.add(middleware: AuthMiddleware(credentials: access.chain, store: access.store, audit: audit))
        for endpoint in Endpoint.allCases {
            router.on(endpoint.routerPath, method: endpoint.method) { request, context in
                var context = context
                context.endpoint = endpoint
                return try await audited(request, context) { [context] in
                    try context.principal.require(endpoint.requiredScope)
                    return try await respond(endpoint, request, context)
                }
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
        case .listSessions: try await listSessions(request, context)
        case .session: try await session(context)
        case .history: try await history(request, context)
        case .sessionStream: try await sessionStream(request, context)
        case .cancel: try await cancel(request, context)
        case .rewind: try await rewind(request, context)
        case .deleteSession: try await deleteSession(context)
        case .ticket: try await ticket(request, context)
        case .usage: try await usage(request, context)
        case .eraseSubject: try await eraseSubject(context)
        case .exportSubject: try await exportSubject(context)
        case .openAPI:
            Response(
                status: .ok, headers: [.contentType: "application/json"],
                body: ResponseBody(byteBuffer: ByteBuffer(bytes: PackageResources.openapi_json)))
        }
    }

    func sessionID(_ context: Context) throws -> SessionID {
        guard
            let id = context.parameters.get("session_id").flatMap({
                SessionID($0.removingPercentEncoding ?? $0, tenant: context.principal.tenant)
            })
        else {
            throw Problem.badSessionID
        }
        return id
    }

    /// Returns a whole number from the query.
    func queryInteger(_ name: String, _ request: Request, default fallback: Int, in range: ClosedRange<Int>) throws -> Int {
        guard let text = request.uri.queryParameters.get(name) else { return fallback }
        guard let value = Int(text), range.contains(value) else {
            throw Problem.notInRange(name, range)
        }
        return value
    }

    /// Returns `true` or `false` from the query; false if it is absent.
    func queryBoolean(_ name: String, _ request: Request) throws -> Bool {
        switch request.uri.queryParameters.get(name) {
        case nil, "false": return false
        case "true": return true
        default: throw Problem.notBoolean(name)
        }
    }
}
