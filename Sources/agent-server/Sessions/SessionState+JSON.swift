import JSONText
import NIOCore
import SessionStore

extension ByteBuffer {
    /// Writes the members of the JSON object that describes a session, without its braces.
    mutating func writeMembers(of state: SessionState, session: SessionID) {
        writeString(#""session_id":"#)
        writeJSONString(session.text)
        writeString(",\"status\":\"\(state.status.rawValue)\",\"step\":\(state.step),\"pending_calls\":[")
        for (index, call) in state.pending.enumerated() {
            if index > 0 { writeString(",") }
            writeString(#"{"call_id":"#)
            writeJSONString(call.id)
            // The stored value is an object. Its members follow the id.
            var members = call.json
            if members.readInteger(as: UInt8.self) == UInt8(ascii: "{"), members.readableBytes > 1 {
                writeString(",")
                writeSSESafeJSON(members)
            } else {
                writeString("}")
            }
        }
        writeString("],\"history_length\":\(state.historyLength),\"usage\":{\"prompt_tokens\":\(state.promptTokens)")
        writeString(",\"completion_tokens\":\(state.completionTokens)")
        writeString(",\"total_tokens\":\(state.promptTokens + state.completionTokens)}")
        writeString(#","finish_reason":"#)
        if let reason = state.finishReason { writeJSONString(reason) } else { writeString("null") }
        writeString(",\"created_at\":\(state.createdAt),\"updated_at\":\(state.updatedAt)")
        if state.status == .running {
            writeString(#","owner":"#)
            writeJSONString(state.owner)
            writeString(",\"attempt\":\(state.attempt),\"lease_until\":\(state.leaseUntil)")
        }
        if let model = state.settings.model {
            writeString(#","model":"#)
            writeJSONString(model)
        }
    }
}
