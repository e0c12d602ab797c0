import AgentService
import Hummingbird
import SessionStore

extension AgentRoutes {
    /// `POST /agent/sessions/{id}/rewind` with `{"history_length":N,"expected_length"?}`
    func rewind(_ request: Request, _ context: Context) async throws -> Response {
        let session = try sessionID(context)
        let (body, _) = try await body(request, context)
        let fields: RewindFields
        do throws(RequestError) { fields = try RewindFields(body: body) } catch { throw Problem(error) }
        let outcome = try await stored { () throws(StoreError) in
            try await store.rewind(
                session, to: fields.historyLength, expected: fields.expectedLength, as: context.principal.requester)
        }
        guard case .rewound(let length, let step) = outcome else { throw Problem(outcome, to: fields.historyLength) }
        return .json("{\"history_length\":\(length),\"step\":\(step)}")
    }
}
