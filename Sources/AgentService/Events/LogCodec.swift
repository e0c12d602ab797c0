import JSONText
import LanguageModels
import NIOCore
import SessionStore

/// Translates events into what a session's log holds, and back (docs/redis-protocol.md).
///
/// A delta is stored as bare text, any other event as a JSON object. The form is that of the disk:
/// replicas of several versions read it, so it does not follow any front end.
enum LogCodec {
    /// Adds an event to a batch.
    static func append(_ event: TurnEvent, to batch: inout LoggedEvents) {
        switch event {
        case .textDelta(let text): batch.append(token: text)
        case .reasoningDelta(let text): batch.append(reasoning: text)
        case .text(let text, let isFinal): batch.append(.message) { write(text, isFinal: isFinal, into: &$0) }
        case .toolCall(let call, let isLast): batch.append(.message) { write(call, isLast: isLast, into: &$0) }
        case .restarted(let restart): batch.append(.restart) { write(restart, into: &$0) }
        case .failed(let failure): batch.append(.error) { write(failure, into: &$0) }
        case .finished(let summary): batch.append(.done) { write(summary, into: &$0) }
        }
    }

    private static func write(_ text: String, isFinal: Bool, into json: inout ByteBuffer) {
        json.reserveCapacity(minimumWritableBytes: text.utf8.count + text.utf8.count / 8 + 96)
        json.writeStaticString(#"{"type":"assistant_message","content":"#)
        json.writeJSONString(text)
        json.writeStaticString(#","token":"","is_final":"#)
        json.writeStaticString(isFinal ? "true}" : "false}")
    }

    private static func write(_ call: IssuedCall, isLast: Bool, into json: inout ByteBuffer) {
        json.writeStaticString(#"{"type":"tool_call","call_id":"#)
        json.writeJSONString(call.id)
        json.writeStaticString(#","tool_name":"#)
        json.writeJSONString(call.name)
        json.writeStaticString(#","arguments":"#)
        json.writeSSESafeJSON(call.arguments)
        json.writeStaticString(#","is_final":"#)
        json.writeStaticString(isLast ? "true}" : "false}")
    }

    private static func write(_ restart: StepRestart, into json: inout ByteBuffer) {
        json.writeStaticString(#"{"type":"restart","step":"#)
        json.writeDecimal(restart.step)
        json.writeStaticString(#","replaces":"#)
        json.writeDecimal(restart.replaces)
        json.writeStaticString(#","reason":"#)
        json.writeJSONString(restart.reason.rawValue)
        json.writeStaticString("}")
    }

    private static func write(_ failure: StepFailure, into json: inout ByteBuffer) {
        json.writeStaticString(#"{"type":"error","error":"#)
        json.writeJSONString(failure.message)
        json.writeStaticString(#","code":"#)
        json.writeJSONString(failure.code)
        if let code = failure.upstreamCode {
            json.writeStaticString(#","upstream_code":"#)
            json.writeJSONString(code)
        }
        if let seconds = failure.retryAfter {
            json.writeStaticString(#","retry_after":"#)
            json.writeDecimal(seconds)
        }
        json.writeStaticString(failure.isRetryable ? #","retryable":true,"is_final":true}"# : #","retryable":false,"is_final":true}"#)
    }

    private static func write(_ summary: StepSummary, into json: inout ByteBuffer) {
        json.writeStaticString(#"{"status":""#)
        json.writeString(summary.status.rawValue)
        json.writeStaticString(#"","session_id":"#)
        json.writeJSONString(summary.session.text)
        json.writeStaticString(#","step":"#)
        json.writeDecimal(summary.step)
        if let length = summary.historyLength {
            json.writeStaticString(#","history_length":"#)
            json.writeDecimal(length)
        }
        json.writeStaticString(#","pending_calls":["#)
        for (index, id) in summary.pendingCalls.enumerated() {
            if index > 0 { json.writeStaticString(",") }
            json.writeJSONString(id)
        }
        json.writeStaticString(#"],"finish_reason":"#)
        json.writeFinishReason(summary.finishReason)
        if let usage = summary.usage {
            json.writeStaticString(#","usage":"#)
            json.writeUsage(usage)
        }
        if let metadata = summary.metadata {
            json.writeStaticString(#","metadata":"#)
            json.writeSSESafeJSON(metadata)
        }
        json.writeStaticString("}")
    }
}

extension ByteBuffer {
    /// Writes token counts as the log and the journal hold them.
    mutating func writeUsage(_ usage: TokenUsage) {
        writeStaticString(#"{"prompt_tokens":"#)
        writeDecimal(usage.promptTokens)
        writeStaticString(#","completion_tokens":"#)
        writeDecimal(usage.completionTokens)
        writeStaticString(#","total_tokens":"#)
        writeDecimal(usage.totalTokens)
        if let cached = usage.cachedTokens {
            writeStaticString(#","cached_tokens":"#)
            writeDecimal(cached)
        }
        if let reasoning = usage.reasoningTokens {
            writeStaticString(#","reasoning_tokens":"#)
            writeDecimal(reasoning)
        }
        writeStaticString("}")
    }

    /// Writes a string, or `null` where no reason is known.
    mutating func writeFinishReason(_ reason: String?) {
        if let reason { writeJSONString(reason) } else { writeStaticString("null") }
    }
}
