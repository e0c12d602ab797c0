import AgentService
import HTTPTypes
import Hummingbird
import JSONText
import NIOCore
import SessionStore

extension AgentRoutes {
    /// `POST /agent/message/stream/legacy`: one JSON answer, as the original's first version had
    /// it. The turn is offered no tools, since this client could not answer their calls.
    func legacyMessage(_ request: Request, _ context: Context) async throws -> Response {
        var turn: TurnRequest
        let share: ByteShare
        do {
            let (body, counted) = try await body(request, context)
            share = counted
            turn = try TurnRequest(
                legacyBody: body, tenant: context.principal.tenant, as: context.principal.requester)
        } catch let error as RequestError {
            throw deprecated(Problem(error))
        } catch let error as Problem {
            throw deprecated(error)
        }
        turn.requestID = context.requestID
        apply(context.principal, to: &turn)
        turn.whenCreated = whenCreated(turn.session, context)
        let collected = CollectedTurn()
        let stream = ClientStream(encoder: collected)
        do throws(TurnError) {
            // The body counts until the message is accepted.
            defer { withExtendedLifetime(share) {} }
            try await service.start(turn, stream: stream)
        } catch {
            throw deprecated(Problem(error))
        }
        ClientStreamHandler.watch(stream, on: context.channel, endsWithInput: false)
        while await stream.next() != nil {}
        let outcome = collected.outcome
        if let failure = outcome.failure { throw deprecated(.turnFailed(failure.code, failure.message)) }
        guard outcome.isFinished else {
            throw deprecated(.turnGoesOn("the message was accepted; the session's history has the answer later"))
        }
        if outcome.isCancelled { throw deprecated(.turnCancelled) }
        var json = ByteBuffer()
        json.writeString(#"{"status":"ok","message":"#)
        json.writeJSONString(outcome.text)
        json.writeString(#","session_id":"#)
        json.writeJSONString(turn.session.text)
        json.writeString("}")
        var response = Response.json(json)
        for field in Self.deprecation { response.headers[field.name] = field.value }
        return response
    }

    /// RFC 9745: the day on which the original deprecated it; RFC 8288: where to go.
    private static var deprecation: HTTPFields {
        [.deprecation: "@1766793600", .link: "</agent/message/stream>; rel=\"successor-version\""]
    }

    private func deprecated(_ problem: Problem) -> Problem {
        Self.deprecation.reduce(problem) { $0.with($1.name, $1.value) }
    }
}
