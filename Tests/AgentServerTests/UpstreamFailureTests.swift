import NIOCore
import SessionStore
import TestSupport
import Testing

/// The client sees an error, and the session can go on.
@Suite("Model failures in the middle of a stream", .tags(.processes), .serialized)
struct UpstreamFailureTests: ServerSuite {
    let server: TestServer

    init() async throws {
        server = try await TestServer(environment: ["AGENT_RUNTIME__LLM_IDLE_TIMEOUT_MS": "400"])
    }

    static let failures: [(code: String, answer: UpstreamAnswer)] = {
        var midStream = UpstreamAnswer()
        midStream.add(delta: ["content": "so far"])
        midStream.add(event: #"{"error":{"message":"it broke"}}"#)
        var overloaded = UpstreamAnswer()
        overloaded.add(delta: ["content": "so far"])
        overloaded.add(event: #"{"error":{"message":"overloaded","code":529}}"#)
        var cutCall = UpstreamAnswer()
        cutCall.add(delta: ["tool_calls": [["index": 0, "id": "c", "function": ["name": "echo", "arguments": #"{"text":"a very lo"#]]]])
        var filteredCall = cutCall
        cutCall.end(finish: "length")
        filteredCall.end(finish: "content_filter")
        return [
            ("llm_length", cutCall), ("llm_content_filter", filteredCall), ("llm_error", .text("half a sen", finish: "network_error")),
            ("llm_error", .text("half a sen", finish: "a word of tomorrow")),
            ("llm_unavailable", .error(500, "down")), ("llm_unavailable", overloaded), ("llm_rate_limited", .error(429, "slow down")),
            ("llm_rejected", .error(404, "no such model")),
            ("llm_unavailable", UpstreamAnswer.text("so far", "more").inserting(.hangUp, after: 2)),
            ("llm_timeout", UpstreamAnswer.text("so far", "more").inserting(.pause(.seconds(20)), after: 2)),
            ("llm_error", midStream),
            ("llm_invalid_response", UpstreamAnswer(contentType: "text/html", parts: [.bytes(.init(string: "<html>"))])),
        ]
    }()

    @Test("The client gets an error event for every model failure, and the step can be retried", arguments: failures.indices)
    func everyFailureIsTold(_ index: Int) async throws {
        let failure = Self.failures[index]
        let session = SessionID.unique()
        upstream.answer { _ in failure.answer }
        let answer = try await client.say("hello", in: session.text)
        #expect(answer.status == 200)
        #expect(answer.error?["code"].string == failure.code, "\(answer.events)")
        #expect(answer.error?["is_final"] == true)
        #expect(answer.done["status"] == "failed")
        // The failed text does not enter the history, and the client can retry the step.
        #expect(try redis.history(session).map { $0["role"].string } == ["system", "user"])
        upstream.answer { _ in .text("better") }
        let retried = try await client.post(AgentClient.body(session.text, ["type": "retry"]))
        #expect(retried.content == "better")
        #expect(try redis.history(session).map { $0["role"].string } == ["system", "user", "assistant"])
        #expect(upstream.violations.isEmpty)
    }

    @Test("Tool arguments that are not an object are repaired once")
    func argumentsThatAreNoObjectAreRepairedOnce() async throws {
        let session = SessionID.unique()
        upstream.answer { request in
            request.messages.last?["role"].string == "tool" && request.lastContent.contains("not a JSON object")
                ? .calls((id: "c2", name: "echo", arguments: [#"{"text":"ok"}"#]))
                : .calls((id: "c1", name: "echo", arguments: ["not json"]))
        }
        let repaired = try await client.say("go", in: session.text)
        #expect(repaired.calls.map { $0["call_id"] } == ["c2"])
        #expect(repaired.done["pending_calls"] == ["c2"])

        let hopeless = SessionID.unique()
        upstream.answer { request in .calls((id: "c\(request.messages.count)", name: "echo", arguments: ["[1]"])) }
        let failed = try await client.say("go", in: hopeless.text)
        #expect(failed.error?["code"] == "invalid_tool_arguments")
        #expect(failed.calls.isEmpty)
        #expect(Conversation.violation(try redis.history(hopeless)) == nil)
        #expect(upstream.violations.isEmpty)
    }

    @Test("A model that does not stream is read as a whole completion")
    func wholeAnswersWhereTheModelDoesNotStream() async throws {
        let whole = try await Replica.start(redis: redis.url, upstream: upstream.url, environment: ["AGENT_RUNTIME__LLM_STREAM": "false"])
        upstream.answer { request in
            request.body["stream"].bool == false
                ? .whole(["role": "assistant", "content": "in one piece"]) : .error(400, "stream was asked for")
        }
        let answer = try await whole.client.say("hello", in: SessionID.unique().text)
        #expect(answer.content == "in one piece")
        #expect(answer.tokens == "in one piece")
        #expect(answer.done["usage"]["total_tokens"] == 21)
    }

    @Test("The request to the model has the documented members")
    func whatTheModelIsSent() async throws {
        let keyed = try await Replica.start(
            redis: redis.url, upstream: upstream.url + "/v1/",
            environment: ["AGENT_RUNTIME__LLM_API_KEY": "sk-test", "AGENT_RUNTIME__LLM_MODEL": "m-1"])
        let session = SessionID.unique().text
        let parts: JSON = [["type": "text", "text": "look"], ["type": "image_url", "image_url": ["url": "https://example.com/a.png"]]]
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        let answer = try await keyed.client.post(AgentClient.body(session, ["content": parts]), headers: ["traceparent": trace])
        #expect(answer.done["status"] == "completed")
        let request = try #require(upstream.requests.last)
        #expect(request.headers["authorization"] == "Bearer sk-test")
        #expect(request.headers["traceparent"] == trace)
        #expect(request.body["model"] == "m-1")
        #expect(request.messages.last?["content"] == parts)
        #expect(request.body["tools"].array.compactMap { $0["function"]["name"].string } == ["read_file", "echo"])
        #expect(!keyed.process.log.contains("sk-test"))
    }

    /// The stored text equals the streamed text, whichever characters it contains.
    @Test("Text with unusual line separators is streamed and stored unchanged (I4)")
    func textThatLineReadersSplitAt() async throws {
        let odd = ["line\u{2028}sep", "\u{2029}", "\u{85}", "\r\n\t\"\\", "👩‍👩‍👧", "\u{0}", "é"]
        upstream.answer { _ in UpstreamAnswer.text(odd).split(every: 1) }
        let session = SessionID.unique()
        let answer = try await client.say("odd", in: session.text)
        #expect(answer.tokens == odd.joined())
        #expect(answer.content == odd.joined())
        #expect(try redis.history(session).last?["content"].string == odd.joined())
        for separator in ["\u{2028}", "\u{2029}", "\u{85}"] { #expect(!answer.text.contains(separator)) }
    }
}
