import AgentService
import JSONText
import LanguageModels
import NIOCore
import SessionStore

extension TurnRequest {
    /// Reads the body of the original's first endpoint:
    /// `{"role":"user","content":"…","session_id"?}`. Without a session id the turn gets a session
    /// of its own.
    init(legacyBody body: ByteBuffer, tenant: TenantID, as requester: Requester) throws(RequestError) {
        let value: JSONSlice
        do { value = try JSONSlice(parsing: body) } catch { throw RequestError(.invalidJSON, "the body is not JSON: \(error)") }
        guard value.kind == .object else { throw RequestError("the body must be a JSON object") }
        if let role = value["role"], !role.isNull, role.string != "user" { throw RequestError("role must be \"user\"") }
        guard let content = value["content"], content.kind == .string else { throw RequestError("content must be a string") }
        let session: SessionID
        if let given = value["session_id"], !given.isNull {
            guard let id = given.string.flatMap({ SessionID($0, tenant: tenant) }) else {
                throw RequestError("session_id must be a string of 1–128 of A-Z a-z 0-9 . _ : -, and not . or ..")
            }
            session = id
        } else {
            guard let id = SessionID("legacy-" + LeaseToken().text, tenant: tenant) else { throw RequestError("session_id is missing") }
            session = id
        }
        self.init(
            session: session, input: .user(ChatMessage.user(content: content.raw)), as: requester,
            settings: TurnSettings(tools: ByteBuffer(string: "[]")))
    }
}
