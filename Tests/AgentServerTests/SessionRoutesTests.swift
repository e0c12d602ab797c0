import Foundation
import NIOCore
import SessionStore
import TestSupport
import Testing

@Suite("Session, health and legacy endpoints", .tags(.processes), .serialized)
struct SessionRoutesTests: ServerSuite {
    let server: TestServer

    init() async throws {
        server = try await TestServer(environment: ["AGENT_RUNTIME__VERSION": "1.2.3-test", "AGENT_RUNTIME__LLM_MODEL": "m-1"])
    }

    @Test("The health checks report the version, liveness and readiness")
    func health() async throws {
        let health = try await client.get("/health")
        #expect(health.status == 200)
        #expect(health.json == ["status": "healthy", "service": "agent-runtime", "version": "1.2.3-test"])
        #expect(try await client.get("/health/live").status == 200)
        #expect(try await client.get("/health/ready").status == 200)
        let head = try await client.send("HEAD", "/health/ready")
        #expect(head.status == 200 && head.body.readableBytes == 0)
    }

    @Test("GET on a session returns its state")
    func theStateOfASession() async throws {
        let session = SessionID.unique().text
        upstream.answer { _ in
            .calls((id: "b", name: "echo", arguments: [#"{"text":"x"}"#]), (id: "a", name: "read_file", arguments: [#"{"path":"y"}"#]))
        }
        let asked = try await client.say("go", in: session, ["metadata": ["trace": "t-1"]])
        #expect(asked.done["metadata"] == ["trace": "t-1"])
        let state = try await client.get("/agent/sessions/\(session)").json
        #expect(state["session_id"].string == session)
        #expect(state["status"] == "waiting")
        #expect(state["step"] == 1)
        #expect(state["history_length"] == 3)
        #expect(state["pending_calls"].array.map { $0["call_id"] } == ["b", "a"])
        #expect(state["pending_calls"][0]["arguments"] == ["text": "x"])
        #expect(state["usage"] == ["prompt_tokens": 20, "completion_tokens": 8, "total_tokens": 28])
        #expect(state["created_at"].int ?? 0 > 1_700_000_000_000)
    }

    @Test("GET on a session's history returns pages")
    func theHistoryInPages() async throws {
        let session = SessionID.unique().text
        for index in 1...5 { #expect(try await client.say("message \(index)", in: session).status == 200) }
        let stored = try redis.history(try #require(SessionID(session)))
        let whole = try await client.get("/agent/sessions/\(session)/history?include_system=true").json
        #expect(whole["messages"].array == stored && stored.first?["content"].string != nil)
        let all = try await client.get("/agent/sessions/\(session)/history").json
        #expect(all["history_length"] == 11)
        // The system prompt belongs to the operator. The response contains its message without the
        // text.
        #expect(all["messages"].array == [["role": "system"]] + stored.dropFirst())
        for query in ["?offset=0&limit=1", "?limit=1&include_system=false"] {
            let first = try await client.get("/agent/sessions/\(session)/history\(query)").json
            #expect(first["messages"] == [["role": "system"]] && first["history_length"] == 11)
        }
        let second = try await client.get("/agent/sessions/\(session)/history?offset=1&limit=1").json
        #expect(second["messages"].array == [stored[1]])
        var paged: [JSON] = []
        for offset in stride(from: 0, to: 12, by: 4) {
            paged += try await client.get("/agent/sessions/\(session)/history?offset=\(offset)&limit=4").json["messages"].array
        }
        #expect(paged == all["messages"].array)
        #expect(try await client.get("/agent/sessions/\(session)/history?offset=500").json["messages"] == [])
    }

    /// A response contains as many messages as fit, and the offset of the next message.
    @Test("A page of history is bounded in bytes and names the next position")
    func aLongHistoryComesInPartsByBytes() async throws {
        let session = SessionID.unique()
        #expect(try await client.say("hello", in: session.text).status == 200)
        let long = #"{"role":"user","content":"\#(String(repeating: "x", count: 100_000))"}"#
        for _ in 0..<25 { try redis.cli("RPUSH", RedisKeys(session).history, long) }
        var sizes: [Int] = []
        var offset: Int? = 0
        while let place = offset {
            let part = try await client.get("/agent/sessions/\(session.text)/history?offset=\(place)&limit=1000")
            #expect(part.json["history_length"] == 28 && part.json["offset"].int == place && part.body.readableBytes < 1_100_000)
            sizes.append(part.json["messages"].array.count)
            offset = part.json["next_offset"].int
            try #require(sizes.count < 28)
        }
        #expect(sizes.reduce(0, +) == 28 && sizes.count == 3, "\(sizes)")
        // The requested messages are included.
        #expect(try await client.get("/agent/sessions/\(session.text)/history?offset=1&limit=2").json["next_offset"] == .null)
    }

    /// A history without a system prompt begins with a client's message.
    @Test("The history endpoint hides a system prompt and nothing else")
    func onlyASystemPromptIsNotShown() async throws {
        let prompt = try temporaryDirectory().appending(path: "prompt.txt")
        try "".write(to: prompt, atomically: true, encoding: .utf8)
        let replica = try await Replica.start(
            redis: redis.url, upstream: upstream.url, environment: ["AGENT_RUNTIME__SYSTEM_PROMPT_FILE": prompt.path])
        let session = SessionID.unique().text
        #expect(try await replica.client.say("hello", in: session).status == 200)
        let history = try await replica.client.get("/agent/sessions/\(session)/history").json
        #expect(history["messages"][0] == ["role": "user", "content": "hello"])
        try await replica.stop()
    }

    @Test("The session list is paged by a cursor")
    func theListAndItsCursor() async throws {
        let redis = try await RedisServer.start()
        let replica = try await Replica.start(redis: redis.url, upstream: upstream.url)
        var expected: [String] = []
        for index in 0..<7 {
            #expect(try await replica.client.say("x", in: "list-\(index)").status == 200)
            expected.insert("list-\(index)", at: 0)
        }
        // A refused message does not count as activity, and creates no session.
        #expect(try await replica.client.result("x", of: "c", in: "list-0").status == 404)
        #expect(try await replica.client.result("x", of: "c", in: "list-none").status == 404)
        var seen: [String] = []
        var cursor: String?
        for _ in 0..<5 {
            let page = try await replica.client.get("/agent/sessions?limit=3" + (cursor.map { "&cursor=\($0)" } ?? "")).json
            seen += page["sessions"].array.compactMap { $0["session_id"].string }
            cursor = page["next_cursor"].string
            if cursor == nil { break }
        }
        #expect(seen == expected)
        try await replica.stop()
        try await redis.stop()
    }

    @Test("DELETE removes a session, and its id can be used again")
    func deletingASession() async throws {
        let session = SessionID.unique()
        #expect(try await client.say("x", in: session.text).status == 200)
        #expect(try await client.send("DELETE", "/agent/sessions/\(session)").status == 204)
        #expect(try redis.cli("KEYS", "agent:{\(session)}:*").isEmpty)
        #expect(try await client.get("/agent/sessions/\(session)").status == 404)
        #expect(try await client.send("DELETE", "/agent/sessions/\(session)").status == 404)
        // The same id begins a new session.
        #expect(try await client.say("y", in: session.text).done["history_length"] == 3)
    }

    @Test("DELETE ends the step that runs")
    func deletingASessionWhoseStepRuns() async throws {
        let session = SessionID.unique()
        let gate = Gate()
        upstream.answer { _ in UpstreamAnswer.text("a", "b").inserting(.gate(gate), after: 2) }
        var open = try await client.open(AgentClient.body(session.text, ["content": "x"]))
        try await open.next { $0.data["token"] == "a" }
        #expect(try await client.send("DELETE", "/agent/sessions/\(session)").status == 204)
        let answer = try await open.rest()
        gate.open()
        #expect(answer.error?["code"] == "session_deleted")
        #expect(answer.done["status"] == "failed")
        #expect(try redis.cli("KEYS", "agent:{\(session)}:*").isEmpty)
    }

    @Test("The legacy endpoint returns the whole completion")
    func theLegacyEndpoint() async throws {
        let session = SessionID.unique().text
        let body: JSON = ["role": "user", "content": "Hi", "session_id": .string(session)]
        let answer = try await client.send("POST", "/agent/message/stream/legacy", body: body.text)
        #expect(answer.status == 200)
        #expect(answer.json["status"] == "ok")
        #expect(answer.json["message"] == "Hello, world")
        #expect(answer.header("Deprecation") == "@1766793600")
        #expect(answer.header("Link")?.contains("successor-version") == true)
        #expect(try redis.history(try #require(SessionID(session))).map { $0["role"].string } == ["system", "user", "assistant"])
        // Without a session id, each request gets a new session.
        let free: JSON = ["role": "user", "content": "Hi"]
        #expect(try await client.send("POST", "/agent/message/stream/legacy", body: free.text).json["message"] == "Hello, world")
        upstream.answer { _ in .error(500, "down") }
        #expect(try await client.send("POST", "/agent/message/stream/legacy", body: free.text).status == 502)
        let bad = try await client.send("POST", "/agent/message/stream/legacy", body: "{}")
        #expect(bad.status == 400 && bad.code == "invalid_request" && bad.header("Deprecation") != nil)
    }

    /// A client of this endpoint expects a whole completion. A part of one would mislead it.
    @Test("A cancelled legacy request gets 409")
    func aCancelledLegacyAnswerIsAConflict() async throws {
        let session = SessionID.unique().text
        let gate = Gate()
        upstream.answer { _ in UpstreamAnswer.text("half", "whole").inserting(.gate(gate), after: 2) }
        let body: JSON = ["role": "user", "content": "Hi", "session_id": .string(session)]
        let waiting = Task { [client] in try await client.send("POST", "/agent/message/stream/legacy", body: body.text) }
        try await eventually("the model writes") { gate.arrivals == 1 }
        // Some clients declare a type even for an empty body.
        let cancel = try await client.send(
            "POST", "/agent/sessions/\(session)/cancel", headers: ["Content-Type": "application/x-www-form-urlencoded"])
        #expect(cancel.status == 202)
        let answer = try await waiting.value("it ends")
        #expect(answer.status == 409 && answer.code == "cancelled" && answer.header("Deprecation") != nil)
        gate.open()
    }

    @Test("A legacy body of another content type is refused with the deprecation headers")
    func aLegacyBodyOfAnotherTypeIsRefusedAsDeprecated() async throws {
        let answer = try await client.send(
            "POST", "/agent/message/stream/legacy", headers: ["Content-Type": "text/plain"])
        #expect(answer.status == 415 && answer.header("Deprecation") != nil)
    }

    @Test("GET /openapi.json returns the API document")
    func theDocumentOfTheAPI() async throws {
        let document = try await client.get("/openapi.json")
        #expect(document.status == 200)
        #expect(document.json["openapi"] == "3.1.0")
    }

    /// A newcomer tries the tool loop with the built-in model.
    @Test("The scripted model runs the whole tool loop")
    func theScriptedModel() async throws {
        let scripted = try await Replica.start(redis: redis.url)
        let session = SessionID.unique().text
        let asked = try await scripted.client.say("read_file a.txt\necho hi", in: session)
        let ids = asked.calls.compactMap { $0["call_id"].string }
        #expect(asked.calls.compactMap { $0["tool_name"].string } == ["read_file", "echo"])
        try #require(ids.count == 2)
        #expect(try await scripted.client.result("text of a", of: ids[0], in: session).done["status"] == "waiting")
        let answer = try await scripted.client.post(
            AgentClient.body(session, ["type": "tool_result", "call_id": .string(ids[1]), "error": "no echo"]))
        #expect(answer.content?.contains("text of a") == true)
        #expect(answer.content?.contains("error: no echo") == true)
        // A client's own tools replace the server's tools for the turn.
        let none = try await scripted.client.say("read_file b.txt", in: session, ["tools": []])
        #expect(none.calls.isEmpty && none.content == "I have no tool named read_file.")
    }
}
