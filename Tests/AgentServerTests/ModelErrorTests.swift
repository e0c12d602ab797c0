import NIOCore
import SessionStore
import TestSupport
import Testing

/// Clients and operators learn of a model's error, and the session can go on afterwards.
@Suite("Model errors in the HTTP API", .tags(.processes), .serialized)
struct ModelErrorTests: ServerSuite {
    let server: TestServer

    init() async throws {
        server = try await TestServer(environment: ["AGENT_RUNTIME__LLM_API_KEY": "sk-0123456789"])
    }

    private func refusal(_ status: Int, _ body: String, headers: [(String, String)] = []) -> UpstreamAnswer {
        var answer = UpstreamAnswer(status: status, contentType: "application/json", parts: [.bytes(ByteBuffer(string: body))])
        answer.headers = headers
        return answer
    }

    @Test("A rate limit error carries the model server's retry time")
    func aRateLimitSaysForHowLong() async throws {
        let answer = refusal(
            429, #"{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}"#,
            headers: [("Retry-After", "1.5"), ("X-Request-ID", "req_42")])
        upstream.answer { _ in answer }
        let session = SessionID.unique()
        let failed = try await client.say("hello", in: session.text)
        let error = try #require(failed.error)
        #expect(error["code"] == "llm_rate_limited" && error["retryable"] == true && error["retry_after"] == 2, "\(failed.text)")
        #expect(error["upstream_code"] == "rate_limit_exceeded" && error["is_final"] == true)
        // The journal contains the model server's code, and the log line its id of the request.
        #expect(
            try redis.lines("LRANGE", RedisKeys(session).steps, "0", "-1").contains {
                $0.contains(#""upstream_code":"rate_limit_exceeded""#)
            })
        try await eventually("the log names the request") {
            replica.process.log.split(separator: "\n").contains {
                $0.contains("a step has failed") && $0.contains("upstream_request=req_42")
                    && $0.contains("upstream_code=rate_limit_exceeded")
            }
        }
    }

    @Test("An error without headers and codes gets no invented fields")
    func withoutHeadersAndCodesNothingIsMadeUp() async throws {
        upstream.answer { _ in UpstreamAnswer(status: 503, contentType: "text/plain", parts: [.bytes(ByteBuffer(string: "busy"))]) }
        let error = try #require(try await client.say("hello", in: SessionID.unique().text).error)
        #expect(Set(error.object.keys) == ["type", "error", "code", "retryable", "is_final"])
    }

    @Test("A spent quota is not retryable, and the message stays in the history")
    func aSpentQuotaIsNotRetryableAndKeepsTheMessage() async throws {
        let answer = refusal(429, #"{"error":{"message":"no credit for sk-0123456789","code":"insufficient_quota"}}"#)
        upstream.answer { _ in answer }
        let session = SessionID.unique()
        let failed = try await client.say("hello", in: session.text)
        #expect(failed.error?["code"] == "llm_quota" && failed.error?["retryable"] == false, "\(failed.text)")
        #expect(failed.error?["upstream_code"] == "insufficient_quota" && !failed.text.contains("0123456789"))
        // The operator has paid for a new quota meanwhile. The refused message itself was correct.
        upstream.answer { _ in .text("better") }
        #expect(try await client.say("and", in: session.text).content == "better")
        #expect(upstream.requests.last?.lastContent == "hello\n\nand")
    }

    @Test("A conversation that is too long goes on without its last message")
    func aConversationThatIsTooLongGoesOnWithoutItsLastMessage() async throws {
        let answer = refusal(
            400, #"{"error":{"message":"This model's maximum context length is 8192 tokens.","code":"context_length_exceeded"}}"#)
        upstream.answer { $0.lastContent == "short" ? .text("better") : answer }
        let session = SessionID.unique()
        for _ in 0..<3 {
            let failed = try await client.say("long", in: session.text)
            #expect(failed.error?["code"] == "llm_context_full" && failed.error?["retryable"] == false, "\(failed.text)")
            #expect(failed.error?["upstream_code"] == "context_length_exceeded" && failed.done["history_length"] == 2)
        }
        #expect(try await client.say("short", in: session.text).content == "better")
        #expect(try redis.history(session).map { $0["content"].string }.suffix(2) == ["short", "better"])
        #expect(upstream.violations.isEmpty)
    }

    @Test("An error inside a stream has the same class and code as an HTTP error")
    func anErrorInAStreamHasItsCodeToo() async throws {
        var answer = UpstreamAnswer()
        answer.add(event: #"{"error":{"message":"wait","type":"rate_limit_error"}}"#)
        upstream.answer { [answer] _ in answer }
        let error = try #require(try await client.say("hello", in: SessionID.unique().text).error)
        #expect(error["code"] == "llm_rate_limited" && error["upstream_code"] == "rate_limit_error")
    }

    /// A tool may return an image.
    @Test("Content parts of a tool result reach the model")
    func contentPartsOfAResultReachTheModel() async throws {
        let parts: JSON = [["type": "text", "text": "see"], ["type": "image_url", "image_url": ["url": "data:image/png;base64,AA=="]]]
        upstream.answer { request in
            request.messages.last?["role"].string == "tool" ? .text("seen") : .calls((id: "c1", name: "echo", arguments: ["{}"]))
        }
        let session = SessionID.unique()
        #expect(try await client.say("look", in: session.text).calls.count == 1)
        let body = AgentClient.body(session.text, ["type": "tool_result", "call_id": "c1", "content": parts])
        for _ in 0..<2 { #expect(try await client.post(body).content == "seen") }
        #expect(upstream.requests.last?.messages.last?["content"] == parts)
        #expect(try redis.history(session).map { $0["content"] }.suffix(2) == [parts, "seen"])
        #expect(upstream.requests.count == 2 && upstream.violations.isEmpty)
    }

    @Test("Settings change the request to the model and not the stored history")
    func settingsChangeWhatIsSentAndNotWhatIsStored() async throws {
        let other = try await Replica.start(
            redis: redis.url, upstream: upstream.url,
            environment: [
                "AGENT_RUNTIME__LLM_PARAMETERS": #"{"reasoning_effort":"low","temperature":0.5}"#,
                "AGENT_RUNTIME__LLM_SYSTEM_ROLE": "developer",
                "AGENT_RUNTIME__LLM_TOOL_NAMES": "true",
            ])
        upstream.answer { request in
            request.messages.last?["role"].string == "tool" ? .text("done") : .calls((id: "c1", name: "echo", arguments: ["{}"]))
        }
        let session = SessionID.unique()
        _ = try await other.client.say("go", in: session.text)
        _ = try await other.client.post(AgentClient.body(session.text, ["type": "tool_result", "call_id": "c1", "result": "r"]))
        let request = try #require(upstream.requests.last)
        #expect(request.body["reasoning_effort"] == "low" && request.body["temperature"] == .number(0.5))
        #expect(request.messages.first?["role"] == "developer" && request.messages.last?["name"] == "echo")
        let stored = try redis.history(session)
        #expect(stored.first?["role"] == "system" && stored.allSatisfy { $0["name"].isNull })
        #expect(upstream.violations.isEmpty)
    }
}
