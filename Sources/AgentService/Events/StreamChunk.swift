import JSONText
import LanguageModels
import NIOCore
import SessionStore

/// The JSON of the events that are not tokens.
enum StreamChunk {
    /// The whole text of an answer. `isFinal` is false where tool calls follow.
    static func message(content: ByteBuffer, isFinal: Bool) -> ByteBuffer {
        var json = ByteBuffer()
        json.reserveCapacity(content.readableBytes + content.readableBytes / 8 + 96)
        json.writeStaticString(#"{"type":"assistant_message","content":"#)
        json.writeJSONString(bytes: content)
        json.writeStaticString(#","token":"","is_final":"#)
        json.writeString(isFinal ? "true}" : "false}")
        return json
    }

    /// - Parameter arguments: A JSON object.
    static func toolCall(id: String, name: String, arguments: ByteBuffer, isFinal: Bool) -> ByteBuffer {
        var json = ByteBuffer()
        json.writeStaticString(#"{"type":"tool_call","call_id":"#)
        json.writeJSONString(id)
        json.writeStaticString(#","tool_name":"#)
        json.writeJSONString(name)
        json.writeStaticString(#","arguments":"#)
        json.writeSSESafeJSON(arguments)
        json.writeStaticString(#","is_final":"#)
        json.writeString(isFinal ? "true}" : "false}")
        return json
    }

    static func error(_ error: LLMError) -> ByteBuffer {
        Self.error(
            error.message, code: error.code.rawValue, retryable: error.isRetryable, upstreamCode: error.upstreamCode,
            retryAfter: error.retryAfter)
    }

    /// - Parameters:
    ///   - upstreamCode: The code of the model's server.
    ///   - retryAfter: Seconds that it wants to be left alone for.
    static func error(
        _ message: String, code: String, retryable: Bool, upstreamCode: String? = nil, retryAfter: Int? = nil
    ) -> ByteBuffer {
        var json = ByteBuffer()
        json.writeStaticString(#"{"type":"error","error":"#)
        json.writeJSONString(message)
        json.writeStaticString(#","code":"#)
        json.writeJSONString(code)
        if let upstreamCode {
            json.writeStaticString(#","upstream_code":"#)
            json.writeJSONString(upstreamCode)
        }
        if let retryAfter {
            json.writeStaticString(#","retry_after":"#)
            json.writeDecimal(retryAfter)
        }
        json.writeString(retryable ? #","retryable":true,"is_final":true}"# : #","retryable":false,"is_final":true}"#)
        return json
    }

    /// Why what a client has is void. A step that another replica runs again says so in the log, with the reason `replica_lost`.
    enum RestartReason: String {
        /// The log does not go on from the id that the client gave.
        case unknownEventID = "unknown_event_id"
        /// The log has lost what comes next.
        case eventsGone = "events_gone"
    }

    /// What was told of step `replaces` is void; step `step` is told from its beginning, or as a whole.
    static func restart(step: Int, replaces: Int, reason: RestartReason) -> ByteBuffer {
        var json = ByteBuffer()
        json.writeStaticString(#"{"type":"restart","step":"#)
        json.writeDecimal(step)
        json.writeStaticString(#","replaces":"#)
        json.writeDecimal(replaces)
        json.writeStaticString(#","reason":"#)
        json.writeJSONString(reason.rawValue)
        json.writeStaticString("}")
        return json
    }
}

/// The last event of every stream.
struct DoneEvent {
    var status: StepStatus
    var session: SessionID
    var step: Int
    /// Unknown where the store could not be reached.
    var historyLength: Int?
    var pendingCalls: [String] = []
    /// Why the model stopped; nil where that is not known.
    var finishReason: String?
    var usage: TokenUsage?
    /// A JSON object, as the client sent it.
    var metadata: ByteBuffer?

    var json: ByteBuffer {
        var json = ByteBuffer()
        json.writeStaticString(#"{"status":""#)
        json.writeString(status.rawValue)
        json.writeStaticString(#"","session_id":"#)
        json.writeJSONString(session.text)
        json.writeStaticString(#","step":"#)
        json.writeDecimal(step)
        if let historyLength {
            json.writeStaticString(#","history_length":"#)
            json.writeDecimal(historyLength)
        }
        json.writeStaticString(#","pending_calls":["#)
        for (index, id) in pendingCalls.enumerated() {
            if index > 0 { json.writeStaticString(",") }
            json.writeJSONString(id)
        }
        json.writeStaticString(#"],"finish_reason":"#)
        json.writeFinishReason(finishReason)
        if let usage {
            json.writeStaticString(#","usage":"#)
            json.writeUsage(usage)
        }
        if let metadata {
            json.writeStaticString(#","metadata":"#)
            json.writeSSESafeJSON(metadata)
        }
        json.writeStaticString("}")
        return json
    }
}

extension ByteBuffer {
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

    /// Writes a string, or `null` where none is known.
    mutating func writeFinishReason(_ reason: String?) {
        if let reason { writeJSONString(reason) } else { writeStaticString("null") }
    }
}
