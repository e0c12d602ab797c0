import SessionStore
import TestSupport
import Testing

/// ``RequestErrorTests`` tests the rows that need no Redis.
@Suite("The rows of the error table in docs/http-errors.md that need Redis", .tags(.processes), .serialized)
struct ErrorTableTests: ServerSuite {
    let server: TestServer

    init() async throws {
        server = try await TestServer()
    }

    /// Checks the members that every error response contains.
    private func expect(
        _ answer: Answer, _ status: Int, _ code: String, names field: String? = nil, _ location: SourceLocation = #_sourceLocation
    ) {
        #expect(answer.status == status, "\(answer.text)", sourceLocation: location)
        #expect(answer.code == code, "\(answer.text)", sourceLocation: location)
        #expect(answer.header("content-type") == "application/problem+json", sourceLocation: location)
        #expect(answer.json["status"].int == status, sourceLocation: location)
        #expect(answer.json["type"].string != nil && answer.json["title"].string?.isEmpty == false, sourceLocation: location)
        if let field {
            #expect(
                answer.json["detail"].string?.contains(field) == true, "\(answer.json["detail"]) names \(field)", sourceLocation: location)
        }
    }

    private func send(_ body: String, headers: [String: String] = [:]) async throws -> Answer {
        try await client.send("POST", "/agent/message/stream", body: body, headers: headers)
    }

    @Test("Every path but the health checks requires the API key")
    func theKey() async throws {
        let guarded = try await Replica.start(
            redis: redis.url, upstream: upstream.url, environment: ["AGENT_RUNTIME__INTERNAL_API_KEY": "s3cret-key"])
        let body = AgentClient.body(SessionID.unique().text, ["content": "x"])
        expect(try await guarded.client.post(body, headers: ["X-Internal-Auth": "wrong-s3cret"]), 401, "unauthorized")
        for path in ["/health", "/health/live", "/health/ready"] { #expect(try await guarded.client.get(path).status == 200) }
        #expect(try await guarded.client.post(body, headers: ["X-Internal-Auth": "s3cret-key"]).done["status"] == "completed")
        let bearer = AgentClient.body(SessionID.unique().text, ["content": "x"])
        #expect(try await guarded.client.post(bearer, headers: ["Authorization": "bearer s3cret-key"]).done["status"] == "completed")
        // The server sends the internal key to the model's proxy, and never logs it.
        #expect(upstream.requests.allSatisfy { $0.headers["x-internal-auth"] == "s3cret-key" })
        #expect(!guarded.process.log.contains("s3cret"))
    }

    @Test("Unknown paths, methods and sessions get 404 and 405")
    func whatIsNotThere() async throws {
        let id = SessionID.unique().text
        expect(try await client.get("/agent/sessions/\(id)"), 404, "session_not_found")
        expect(try await client.get("/agent/sessions/\(id)/history"), 404, "session_not_found")
        expect(try await client.send("DELETE", "/agent/sessions/\(id)"), 404, "session_not_found")
        expect(try await client.send("POST", "/agent/sessions/\(id)/cancel"), 404, "session_not_found")
        expect(try await client.result("x", of: "call_never", in: id), 404, "unknown_call")
    }

    @Test("Conflicts with a running step or another history length get 409")
    func conflicts() async throws {
        let session = SessionID.unique().text
        let gate = Gate()
        upstream.answer { _ in UpstreamAnswer.text("slow").inserting(.gate(gate), after: 1) }
        var open = try await client.open(AgentClient.body(session, ["content": "first"]))
        #expect(open.status == 200)
        try await eventually("the model is asked") { gate.arrivals > 0 }

        let busy = try await client.say("second", in: session)
        expect(busy, 409, "session_busy")
        #expect(busy.json["step"] == 1)
        #expect(Int(busy.header("Retry-After") ?? "") ?? 0 >= 1)
        expect(try await client.send("POST", "/agent/sessions/\(session)/cancel", body: #"{"step":2}"#), 409, "not_running")
        gate.open()
        #expect(try await open.rest().done["status"] == "completed")
        #expect(try redis.history(try #require(SessionID(session))).count == 3)
        expect(try await client.send("POST", "/agent/sessions/\(session)/cancel"), 409, "not_running")

        expect(try await client.post(AgentClient.body(session, ["type": "retry"])), 409, "nothing_to_retry")
        let mismatch = try await client.say("third", in: session, ["expected_length": 7])
        expect(mismatch, 409, "history_mismatch")
        #expect(mismatch.json["history_length"] == 3)
        #expect(try await client.say("third", in: session, ["expected_length": 3]).done["history_length"] == 5)
    }

    @Test("A full session refuses another message")
    func aSessionThatIsFull() async throws {
        let replica = try await Replica.start(
            redis: redis.url, upstream: upstream.url,
            environment: ["AGENT_RUNTIME__MAX_MESSAGES": "3", "AGENT_RUNTIME__MAX_HISTORY_BYTES": "5000"])
        let session = SessionID.unique().text
        #expect(try await replica.client.say("first", in: session).done["history_length"] == 3)
        let full = try await replica.client.say("second", in: session)
        expect(full, 409, "history_full")
        #expect(full.json["history_length"] == 3)
        expect(try await replica.client.say(String(repeating: "x", count: 5000), in: SessionID.unique().text), 409, "history_full")
        try await replica.stop()
    }

    @Test("Tool results that contradict the open calls are refused")
    func toolResultsThatContradict() async throws {
        let session = SessionID.unique().text
        upstream.answer { request in
            request.messages.last?["role"].string == "user" && request.lastContent.hasPrefix("call")
                ? .calls((id: "one", name: "read_file", arguments: ["{}"]), (id: "two", name: "echo", arguments: ["{}"])) : .text("fine")
        }
        #expect(try await client.say("call", in: session).calls.count == 2)
        expect(
            try await client.post(AgentClient.body(session, ["type": "tool_result", "call_id": "one", "tool_name": "echo", "result": 1])),
            400, "invalid_request", names: "message.tool_name")
        let pending = try await client.post(AgentClient.body(session, ["type": "retry"]))
        expect(pending, 409, "calls_pending")
        #expect(pending.json["pending_calls"] == ["one", "two"])
        #expect(try await client.result(["n": 1], of: "one", in: session).done["status"] == "waiting")
        // The same JSON value in another spelling is the same result. Another value is another
        // result.
        #expect(try await client.result(["n": 1], of: "one", in: session).done["pending_calls"] == ["two"])
        expect(try await client.result(["n": 2], of: "one", in: session), 409, "result_conflict")

        #expect(try await client.say("never mind", in: session).content == "fine")
        expect(try await client.result("late", of: "two", in: session), 409, "call_closed")
        #expect(try await client.result(["n": 1], of: "one", in: session).status == 200)
        #expect(Conversation.violation(try redis.history(try #require(SessionID(session)))) == nil)
        #expect(upstream.violations.isEmpty)
    }

    @Test("An idempotency key with another body is refused")
    func anIdempotencyKeyWithAnotherBody() async throws {
        let session = SessionID.unique().text
        let first = try await client.say("one", in: session, headers: ["Idempotency-Key": "k-1"])
        #expect(first.done["status"] == "completed")
        expect(try await client.say("two", in: session, headers: ["Idempotency-Key": "k-1"]), 422, "idempotency_mismatch")
        let again = try await client.say("one", in: session, headers: ["Idempotency-Key": "k-1"])
        #expect(again.events == first.events)
        #expect(try redis.history(try #require(SessionID(session))).count == 3)
    }

    @Test("HTTP's own errors have the shape of every error")
    func whatHTTPSays() async throws {
        let small = try await Replica.start(redis: redis.url, upstream: upstream.url, environment: ["AGENT_RUNTIME__BODY_LIMIT": "2048"])
        let session = SessionID.unique().text
        let large = try await small.client.say(String(repeating: "x", count: 4096), in: session)
        expect(large, 413, "body_too_large")
        #expect(try await small.client.say("small", in: session).done["status"] == "completed")

        let body = AgentClient.body(session, ["content": "x"]).text
        expect(try await send(body, headers: ["Host": "evil.example"]), 421, "misdirected", names: "Host")
        #expect(try await send("\u{FEFF}" + body, headers: ["Content-Encoding": "identity"]).status == 200)
        #expect(
            try await send(body, headers: ["Accept": "text/html, */*;q=0.1", "Content-Type": "application/json; charset=utf-8"]).status
                == 200)
    }

    @Test("Requests get 503 while Redis is down, and work again without a restart")
    func redisIsAway() async throws {
        let redis = try await RedisServer.start()
        let replica = try await Replica.start(redis: redis.url, upstream: upstream.url)
        let session = SessionID.unique().text
        #expect(try await replica.client.say("hello", in: session).done["status"] == "completed")
        try await redis.kill()
        let answer = try await replica.client.say("again", in: session)
        expect(answer, 503, "store_unavailable")
        #expect(answer.header("Retry-After") != nil)
        #expect(try await replica.client.get("/health/ready").status == 503)
        #expect(try await replica.client.get("/health/live").status == 200)
        expect(try await replica.client.get("/agent/sessions/\(session)"), 503, "store_unavailable")
        // Redis serves commands again, without a restart of the server.
        let back = try await RedisServer.start(directory: redis.directory, port: redis.port)
        try await eventually("the replica is ready again") { try await replica.client.get("/health/ready").status == 200 }
        #expect(try await replica.client.say("again", in: session).done["status"] == "completed")
        try await back.stop()
    }

    /// Redis executes the command and never replies: it may have stored the message.
    @Test("A request that Redis never confirmed reports an unknown outcome, and sending it again resolves it")
    func redisDoesNotAnswer() async throws {
        let redis = try await RedisServer.start()
        let replica = try await Replica.start(
            redis: redis.url, upstream: upstream.url, environment: ["AGENT_RUNTIME__REDIS_TIMEOUT_MS": "300"])
        let session = SessionID.unique()
        #expect(try await replica.client.say("hello", in: session.text).done["status"] == "completed")
        redis.process.signal(19)
        let headers = ["Idempotency-Key": "k"]
        expect(try await replica.client.say("again", in: session.text, headers: headers), 503, "outcome_unknown")
        redis.process.signal(18)
        try await eventually("the replica is ready again") { try await replica.client.get("/health/ready").status == 200 }
        try await eventually("the message is accepted, again or for the first time") {
            let answer = try await replica.client.say("again", in: session.text, headers: headers)
            return answer.done["status"] == "completed"
        }
        #expect(try redis.history(session).filter { $0["content"] == "again" }.count == 1)
        try await redis.stop()
    }

    @Test("The server refuses a step beyond its bound, but not requests that free a slot")
    func asManyStepsAsThereMayBe() async throws {
        let replica = try await Replica.start(redis: redis.url, upstream: upstream.url, environment: ["AGENT_RUNTIME__MAX_STEPS": "1"])
        let gate = Gate()
        upstream.answer { _ in UpstreamAnswer.text("slow").inserting(.gate(gate), after: 1) }
        let first = SessionID.unique().text
        var open = try await replica.client.open(AgentClient.body(first, ["content": "x"]))
        let second = SessionID.unique().text
        let refused = try await replica.client.say("y", in: second)
        expect(refused, 503, "overloaded")
        #expect(refused.header("Retry-After") != nil)
        expect(try await replica.client.get("/agent/sessions/\(second)"), 404, "session_not_found")
        // The server accepts a cancel even without a free slot, because a cancel frees a slot.
        #expect(try await replica.client.send("POST", "/agent/sessions/\(first)/cancel").status == 202)
        #expect(try await open.rest().done["status"] == "cancelled")
        gate.open()
        try await eventually("there is room again") { try await replica.client.say("y", in: second).done["status"] == "completed" }
    }

    @Test("A stopping replica refuses new steps")
    func aReplicaThatStops() async throws {
        let replica = try await Replica.start(redis: redis.url, upstream: upstream.url)
        let gate = Gate()
        upstream.answer { _ in UpstreamAnswer.text("slow", " answer").inserting(.gate(gate), after: 2) }
        var open = try await replica.client.open(AgentClient.body(SessionID.unique().text, ["content": "x"]))
        replica.process.signal(15)
        let body = AgentClient.body(SessionID.unique().text, ["content": "x"])
        try await eventually("a load balancer is told") { try await replica.client.get("/health/ready").status == 503 }
        expect(try await replica.client.get("/health/ready"), 503, "draining")
        let refused = try await replica.client.post(body)
        expect(refused, 503, "draining")
        #expect(refused.header("Retry-After") != nil)
        #expect(try await replica.client.get("/health/live").status == 200)
        gate.open()
        let answer = try await open.rest()
        #expect(answer.content == "slow answer")
        #expect(answer.done["status"] == "completed")
        #expect(try await replica.process.ended() == 0)
    }
}
