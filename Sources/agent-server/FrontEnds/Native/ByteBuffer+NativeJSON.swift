import AgentService
import JSONText
import LanguageModels
import NIOCore
import SessionStore

/// The JSON objects of the native contract. No member is null but the `finish_reason` of `done`.
extension ByteBuffer {
    mutating func writeText(_ text: String, isFinal: Bool) {
        reserveCapacity(minimumWritableBytes: text.utf8.count + text.utf8.count / 8 + 96)
        writeStaticString(#"{"type":"assistant_message","content":"#)
        writeJSONString(text)
        writeStaticString(#","token":"","is_final":"#)
        writeStaticString(isFinal ? "true}" : "false}")
    }

    mutating func writeCall(_ call: IssuedCall, isLast: Bool) {
        writeStaticString(#"{"type":"tool_call","call_id":"#)
        writeJSONString(call.id)
        writeStaticString(#","tool_name":"#)
        writeJSONString(call.name)
        writeStaticString(#","arguments":"#)
        writeSSESafeJSON(call.arguments)
        writeStaticString(#","is_final":"#)
        writeStaticString(isLast ? "true}" : "false}")
    }

    mutating func writeRestart(_ restart: StepRestart) {
        writeStaticString(#"{"type":"restart","step":"#)
        writeDecimal(restart.step)
        writeStaticString(#","replaces":"#)
        writeDecimal(restart.replaces)
        writeStaticString(#","reason":"#)
        writeJSONString(restart.reason.rawValue)
        writeStaticString("}")
    }

    mutating func writeFailure(_ failure: StepFailure) {
        writeStaticString(#"{"type":"error","error":"#)
        writeJSONString(failure.message)
        writeStaticString(#","code":"#)
        writeJSONString(failure.code)
        if let code = failure.upstreamCode {
            writeStaticString(#","upstream_code":"#)
            writeJSONString(code)
        }
        if let seconds = failure.retryAfter {
            writeStaticString(#","retry_after":"#)
            writeDecimal(seconds)
        }
        writeStaticString(failure.isRetryable ? #","retryable":true"# : #","retryable":false"#)
        writeStaticString(#","is_final":true}"#)
    }

    mutating func writeSummary(_ summary: StepSummary) {
        writeStaticString(#"{"status":"#)
        writeJSONString(summary.status.rawValue)
        writeStaticString(#","session_id":"#)
        writeJSONString(summary.session.text)
        writeStaticString(#","step":"#)
        writeDecimal(summary.step)
        if let length = summary.historyLength {
            writeStaticString(#","history_length":"#)
            writeDecimal(length)
        }
        writeStaticString(#","pending_calls":["#)
        for (index, id) in summary.pendingCalls.enumerated() {
            if index > 0 { writeStaticString(",") }
            writeJSONString(id)
        }
        writeStaticString(#"],"finish_reason":"#)
        if let reason = summary.finishReason { writeJSONString(reason) } else { writeStaticString("null") }
        if let usage = summary.usage { writeUsage(usage) }
        if let metadata = summary.metadata {
            writeStaticString(#","metadata":"#)
            writeSSESafeJSON(metadata)
        }
        writeStaticString("}")
    }

    private mutating func writeUsage(_ usage: TokenUsage) {
        writeStaticString(#","usage":{"prompt_tokens":"#)
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
}
