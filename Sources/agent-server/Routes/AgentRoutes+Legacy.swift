import AgentService
import HTTPTypes
import Hummingbird
import NIOCore
import SessionStore

extension AgentRoutes {
    /// `POST /agent/message/stream/legacy`: one JSON answer, as the original's first version had it. The turn is offered no tools, since this
    /// client could not answer their calls.
    func legacyMessage(_ request: Request, _ context: Context) async throws -> Response {
        let body = try await body(request)
        let turn: TurnRequest
        do throws(RequestError) {
            turn = try TurnRequest(legacyBody: body)
        } catch {
            throw Problem(error)
        }
        let stream = ClientStream(limit: settings.answerLimit * 8)
        do throws(TurnError) {
            try await runner.start(turn, stream: stream)
        } catch {
            throw Problem(error)
        }
        context.channel.triggerUserOutboundEvent(ClientWatch.Watch(stream: stream), promise: nil)
        let answer = await WholeAnswer(reading: stream)
        if let error = answer.error { throw Problem(.badGateway, error.code, error.message) }
        var json = ByteBuffer()
        json.writeString(#"{"status":"ok","message":"#)
        json.writeJSONString(answer.content)
        json.writeString(#","session_id":"#)
        json.writeJSONString(turn.session.text)
        json.writeString("}")
        var response = Response.json(json)
        response.headers[.deprecation] = "@1766793600"
        response.headers[.link] = "</agent/message/stream>; rel=\"successor-version\""
        return response
    }
}
