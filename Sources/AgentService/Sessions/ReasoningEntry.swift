import NIOCore
import SessionStore

/// What a model said beside one answer, with the answer's call ids in place of their indexes: what is stored
/// beside the history, in ``StoredReasoning``.
struct ReasoningEntry: Sendable {
    struct Call: Sendable {
        /// As the history has it.
        var id: String
        /// The model's own id, where the history could not take it.
        var originalID: String?
        var members: [ReasoningTrace.Member] = []
    }

    var fields: [ReasoningTrace.Member] = []
    /// The calls that there is something to say of.
    var calls: [Call] = []

    var isEmpty: Bool { fields.isEmpty && calls.isEmpty }

    /// Returns `"by":…,"fields":{…},"calls":{…}}`.
    ///
    /// - Parameter author: The provider and the model: only this model is sent it back.
    func json(by author: String) -> ByteBuffer {
        var json = ByteBuffer()
        json.writeStaticString(#""by":"#)
        json.writeJSONString(author)
        json.writeStaticString(#","fields":{"#)
        Self.write(fields, into: &json)
        json.writeStaticString(#"},"calls":{"#)
        for (number, call) in calls.enumerated() {
            if number > 0 { json.writeStaticString(",") }
            json.writeJSONString(call.id)
            json.writeStaticString(":{")
            let id = call.originalID.map { id in
                var text = ByteBuffer()
                text.writeJSONString(id)
                return [ReasoningTrace.Member(name: "id", json: text)]
            }
            Self.write((id ?? []) + call.members, into: &json)
            json.writeStaticString("}")
        }
        json.writeStaticString("}}")
        return json
    }

    private static func write(_ members: [ReasoningTrace.Member], into json: inout ByteBuffer) {
        for (number, member) in members.enumerated() {
            if number > 0 { json.writeStaticString(",") }
            json.writeJSONString(member.name)
            json.writeStaticString(":")
            json.writeImmutableBuffer(member.json)
        }
    }
}
