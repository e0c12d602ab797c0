import JSONText
import LanguageModels
import NIOCore
import SessionStore

extension LogCodec {
    /// A field of the log whose value is not what its name promises.
    struct Damaged: Error {}

    /// Returns the event that a field of a log entry holds; nil for a kind of event that this build
    /// does not know.
    ///
    /// - Parameter session: The session that has the log. The log itself does not name its tenant.
    static func event(_ name: String, _ value: ByteBuffer, of session: SessionID) throws(Damaged) -> TurnEvent? {
        guard let field = LoggedEvents.Field(rawValue: name) else { return nil }
        switch field {
        case .token: return .textDelta(String(buffer: value))
        case .reasoning: return .reasoningDelta(String(buffer: value))
        case .message: return try message(try json(value))
        case .error: return .failed(try failure(try json(value)))
        case .done: return .finished(try summary(try json(value), of: session))
        case .restart: return .restarted(try restart(value))
        }
    }

    /// Returns the restart that is recorded in a step's opening entry.
    static func restart(_ value: ByteBuffer) throws(Damaged) -> StepRestart {
        let json = try json(value)
        guard let step = json["step"]?.integer, let replaces = json["replaces"]?.integer else { throw Damaged() }
        // A word that is not known was written by a later build.
        let reason = json["reason"]?.string.flatMap(StepRestart.Reason.init(rawValue:)) ?? .replicaLost
        return StepRestart(step: step, replaces: replaces, reason: reason)
    }

    private static func json(_ value: ByteBuffer) throws(Damaged) -> JSONSlice {
        do { return try JSONSlice(parsing: value) } catch { throw Damaged() }
    }

    private static func message(_ json: JSONSlice) throws(Damaged) -> TurnEvent? {
        let isFinal = json["is_final"]?.bool ?? true
        switch json["type"]?.string {
        case "assistant_message":
            guard let text = json["content"]?.string else { throw Damaged() }
            return .text(text, isFinal: isFinal)
        case "tool_call":
            guard let id = json["call_id"]?.string, let name = json["tool_name"]?.string, let arguments = json["arguments"] else {
                throw Damaged()
            }
            return .toolCall(IssuedCall(id: id, name: name, arguments: arguments.raw), isLast: isFinal)
        default: return nil
        }
    }

    private static func failure(_ json: JSONSlice) throws(Damaged) -> StepFailure {
        guard let message = json["error"]?.string, let code = json["code"]?.string else { throw Damaged() }
        return StepFailure(
            message, code: code, isRetryable: json["retryable"]?.bool ?? true, upstreamCode: json["upstream_code"]?.string,
            retryAfter: json["retry_after"]?.integer)
    }

    private static func summary(_ json: JSONSlice, of session: SessionID) throws(Damaged) -> StepSummary {
        guard let status = json["status"]?.string.flatMap(StepStatus.init(rawValue:)),
            let step = json["step"]?.integer
        else { throw Damaged() }
        return StepSummary(
            status: status, session: session, step: step, historyLength: json["history_length"]?.integer,
            pendingCalls: json["pending_calls"]?.elements.compactMap(\.string) ?? [],
            finishReason: json["finish_reason"]?.string, usage: json["usage"].map { TokenUsage(journaled: $0) },
            metadata: json["metadata"]?.raw)
    }
}
