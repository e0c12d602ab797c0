import AgentService
import Hummingbird
import JSONText
import NIOCore
import SessionStore

extension AgentRoutes {
    /// `GET /agent/sessions/{id}`
    func session(_ context: Context) async throws -> Response {
        let id = try sessionID(context)
        let state = try await stored { () throws(StoreError) in try await store.state(id, as: context.principal.requester) }
        guard let state else { throw Problem.sessionNotFound }
        await noteRead(id, owner: state.subject ?? "", context)
        var body = ByteBuffer(string: "{")
        body.writeMembers(of: state, session: id)
        body.writeString("}")
        return .json(body)
    }

    /// `GET /agent/sessions/{id}/history?offset=&limit=&include_system=`
    func history(_ request: Request, _ context: Context) async throws -> Response {
        let id = try sessionID(context)
        let offset = try queryInteger("offset", request, default: 0, in: 0...Int(Int32.max))
        let limit = try queryInteger("limit", request, default: 100, in: 1...1000)
        let showsSystem = try queryBoolean("include_system", request)
        guard let share = await service.roomToRead() else { throw Problem.crowded }
        defer { withExtendedLifetime(share) {} }
        let found = try await stored { () throws(StoreError) in
            try await store.history(id, offset: offset, limit: limit, as: context.principal.requester)
        }
        guard let page = found else { throw Problem.sessionNotFound }
        await noteRead(id, context)
        // One message may be larger than a page.
        share.resize(to: max(share.bytes, 2 * page.messages.reduce(0) { $0 + $1.readableBytes }))
        var body = ByteBuffer()
        body.writeString(#"{"session_id":"#)
        body.writeJSONString(id.text)
        body.writeString(",\"history_length\":\(page.length),\"offset\":\(offset),\"messages\":[")
        for (index, message) in page.messages.enumerated() {
            if index > 0 { body.writeString(",") }
            body.writeImmutableBuffer(offset + index == 0 && !showsSystem ? Self.withoutPrompt(message) : message)
        }
        body.writeString("]")
        let next = offset + page.messages.count
        if next < page.length, page.messages.count < limit, !page.messages.isEmpty { body.writeString(",\"next_offset\":\(next)") }
        body.writeString("}")
        return .json(body)
    }

    /// Returns a history's first message without the system prompt, which is the operator's and not
    /// the client's. The message stays, so that offsets mean what they mean in Redis.
    static func withoutPrompt(_ message: ByteBuffer) -> ByteBuffer {
        (try? JSONSlice(parsing: message))?["role"]?.string == "system" ? ByteBuffer(string: #"{"role":"system"}"#) : message
    }

    /// `GET /agent/sessions?cursor=&limit=`
    func listSessions(_ request: Request, _ context: Context) async throws -> Response {
        let limit = try queryInteger("limit", request, default: 50, in: 1...500)
        var cursor: SessionCursor?
        if let text = request.uri.queryParameters.get("cursor") {
            guard let position = SessionCursor(text, tenant: context.principal.tenant) else {
                throw Problem.badCursor
            }
            cursor = position
        }
        let page = try await stored { () throws(StoreError) in
            try await store.list(
                context.principal.tenant, after: cursor, limit: limit, as: context.principal.requester)
        }
        var body = ByteBuffer()
        body.writeString(#"{"sessions":["#)
        for (index, session) in page.sessions.enumerated() {
            if index > 0 { body.writeString(",") }
            body.writeString(#"{"session_id":"#)
            body.writeJSONString(session.session.text)
            body.writeString(",\"status\":\"\(session.status.rawValue)\",\"step\":\(session.step)")
            body.writeString(",\"history_length\":\(session.historyLength),\"last_activity\":\(session.lastActivity)}")
        }
        body.writeString("]")
        if let next = page.next {
            body.writeString(#","next_cursor":"#)
            body.writeJSONString(next.description)
        }
        body.writeString("}")
        return .json(body)
    }

    /// `DELETE /agent/sessions/{id}`
    func deleteSession(_ context: Context) async throws -> Response {
        let id = try sessionID(context)
        let existed = try await stored { () throws(StoreError) in try await store.delete(id, as: context.principal.requester) }
        guard existed else { throw Problem.sessionNotFound }
        audit.note(.sessionDeleted, context, session: id)
        return Response(status: .noContent)
    }

    /// Runs a call to the store. Turns its error into a problem.
    func stored<Value>(_ body: () async throws(StoreError) -> Value) async throws -> Value {
        do throws(StoreError) {
            return try await body()
        } catch {
            throw Problem(error)
        }
    }
}
