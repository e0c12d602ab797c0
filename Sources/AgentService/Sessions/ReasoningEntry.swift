import JSONText
import LanguageModels
import NIOCore
import SessionStore

/// A model's reasoning beside one completion, with call ids in place of the indexes of calls. Redis
/// stores it beside the history, as ``StoredReasoning``.
struct ReasoningEntry: Sendable {
    struct Call: Sendable {
        /// The id that the history has.
        var id: String
        /// The model's own id, where the history has another one.
        var originalID: String?
        var members: [ReasoningTrace.Member] = []
    }

    var fields: [ReasoningTrace.Member] = []
    /// The calls with members or with another id.
    var calls: [Call] = []

    var isEmpty: Bool { fields.isEmpty && calls.isEmpty }

    /// Returns `"by":…,"fields":{…},"calls":{…}}`.
    ///
    /// - Parameter author: The provider and the model; only this model gets the reasoning back.
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
