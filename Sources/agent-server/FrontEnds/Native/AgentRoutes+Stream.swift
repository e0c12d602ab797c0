import AgentService
import HTTPTypes
import Hummingbird
import SessionStore

extension AgentRoutes {
    /// `GET /agent/sessions/{id}/stream`: the events after `Last-Event-ID` or `?last_event_id=`,
    /// without either the latest step from its beginning.
    func sessionStream(_ request: Request, _ context: Context) async throws -> Response {
        try requireEventStream(request)
        let session = try sessionID(context)
        let last = try lastEventID(request)
        let requester = context.principal.requester
        let point = try await stored { () throws(StoreError) in
            try await service.resumePoint(session, after: last, as: requester)
        }
        switch point {
        case .noSession:
            throw Problem.sessionNotFound
        case .nothingLeft:
            await noteRead(session, context)
            return Response(status: .noContent, headers: [.cacheControl: "no-store", .replica: settings.replica])
        case .position(let position):
            guard !scheduler.isDraining else { throw Problem(TurnError.draining) }
            await noteRead(session, context)
            guard request.method != .head else { return Response(status: .ok, headers: streamHeaders(session)) }
            let stream = ClientStream(encoder: NativeEncoder(), limit: settings.clientBacklog)
            do throws(TurnError) {
                try service.follow(session, from: position, stream: stream, as: requester)
            } catch {
                throw Problem(error)
            }
            return streamResponse(stream, session: session, context)
        }
    }

    /// The header goes first: a browser that connects again sends it, and still has the first
    /// address. An empty one is none.
    private func lastEventID(_ request: Request) throws -> EventID? {
        let header = request.headers[.lastEventID].flatMap { $0.isEmpty ? nil : $0 }
        do throws(RequestError) {
            return try EventID(header: header ?? request.uri.queryParameters.get("last_event_id"))
        } catch {
            throw Problem(error)
        }
    }
}
