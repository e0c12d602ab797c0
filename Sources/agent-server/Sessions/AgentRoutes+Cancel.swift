import AgentService
import HTTPTypes
import Hummingbird
import JSONText
import NIOCore
import SessionStore

extension AgentRoutes {
    /// `POST /agent/sessions/{id}/cancel`
    func cancel(_ request: Request, _ context: Context) async throws -> Response {
        let id = try sessionID(context)
        let named = try stepToCancel(try await body(request, context, mayBeAbsent: true).0)
        let step: Int
        do throws(TurnError) {
            step = try await service.cancel(id, step: named, as: context.principal.requester)
        } catch {
            throw Problem(error)
        }
        await noteCancel(id, context)
        var body = ByteBuffer()
        body.writeString(#"{"session_id":"#)
        body.writeJSONString(id.text)
        body.writeString(",\"step\":\(step)}")
        return .json(body, status: .accepted)
    }

    /// Returns the step that the body names; nil without a body, or without a step in it.
    private func stepToCancel(_ body: ByteBuffer) throws -> Int? {
        guard body.readableBytes > 0 else { return nil }
        let value: JSONSlice
        do { value = try JSONSlice(parsing: body) } catch { throw Problem(RequestError(.invalidJSON, "the body is not JSON: \(error)")) }
        guard value.kind == .object else { throw Problem(RequestError("the body must be a JSON object")) }
        guard let field = value["step"], !field.isNull else { return nil }
        guard let step = field.integer, step > 0 else { throw Problem(RequestError("step must be a whole number, 1 or more")) }
        return step
    }
}
