import SessionStore
import TestSupport
import Testing

@Suite("Responses at the limits of an account", .tags(.processes), .serialized)
struct LimitRouteTests: ServerSuite {
    let server: TestServer

    init() async throws {
        server = try await TestServer(redis: RedisServer.start())
    }

    private func replica(_ settings: [String: String]) async throws -> Replica {
        try await Replica.start(redis: redis.url, upstream: upstream.url, environment: settings)
    }

    /// A server without keys has one account for all requests.
    private func forget() throws {
        let keys = AccountKeys(Account(key: "none", tenant: .standard))
        try redis.cli("DEL", keys.running, keys.rates)
    }

    private func expect(
        _ answer: Answer, _ limit: String, policy: String, within seconds: ClosedRange<Int>, _ location: SourceLocation = #_sourceLocation
    ) {
        #expect(answer.status == 429 && answer.code == "rate_limited", "\(answer.text)", sourceLocation: location)
        #expect(answer.header("content-type") == "application/problem+json", sourceLocation: location)
        #expect(answer.json["limit"].string == limit, sourceLocation: location)
        let wait = answer.json["retry_after"].int ?? 0
        #expect(seconds.contains(wait), "\(wait)", sourceLocation: location)
        #expect(answer.header("Retry-After") == "\(wait)", sourceLocation: location)
        #expect(answer.header("RateLimit-Policy") == "\"\(limit)\";\(policy)", sourceLocation: location)
        #expect(answer.header("RateLimit") == "\"\(limit)\";r=0;t=\(wait)", sourceLocation: location)
    }

    @Test("Too many streams get 429 until one has ended")
    func streams() async throws {
        let replica = try await replica(["AGENT_RUNTIME__LIMIT_STREAMS": "1"])
        let gate = Gate()
        upstream.answer { _ in UpstreamAnswer.text("slow").inserting(.gate(gate), after: 1) }
        let session = SessionID.unique()
        let headers = ["Idempotency-Key": "k"]
        var open = try await replica.client.open(AgentClient.body(session.text, ["content": "first"]), headers: headers)
        #expect(open.status == 200)
        try await eventually("the model is asked") { gate.arrivals > 0 }
        let other = SessionID.unique().text
        expect(try await replica.client.say("second", in: other), "streams", policy: #"q=1;qu="concurrent-requests""#, within: 1...1)
        #expect(try await replica.client.get("/agent/sessions/\(other)").status == 404)
        let legacy: JSON = ["content": "x", "session_id": .string(other)]
        expect(
            try await replica.client.send("POST", "/agent/message/stream/legacy", body: legacy.text), "streams",
            policy: #"q=1;qu="concurrent-requests""#, within: 1...1)
        // The same request, sent again, joins its stream.
        let joined = try await replica.client.open(AgentClient.body(session.text, ["content": "first"]), headers: headers)
        #expect(joined.status == 200)
        gate.open()
        #expect(try await open.rest().done["status"] == "completed")
        try await eventually("the slot is free") { try await replica.client.say("second", in: other).done["status"] == "completed" }
        try await replica.stop()
    }

    @Test("Too many requests and tokens get 429 with their policy")
    func rates() async throws {
        let requests = try await replica(["AGENT_RUNTIME__LIMIT_REQUESTS_PER_MINUTE": "1"])
        #expect(try await requests.client.say("one", in: SessionID.unique().text).status == 200)
        expect(try await requests.client.say("two", in: SessionID.unique().text), "requests", policy: "q=1;w=60", within: 30...60)
        try await requests.stop()
        try forget()
        let tokens = try await replica(["AGENT_RUNTIME__LIMIT_TOKENS_PER_MINUTE": "1000", "AGENT_RUNTIME__TOKEN_RESERVE": "1000"])
        let gate = Gate()
        upstream.answer { _ in UpstreamAnswer.text("slow").inserting(.gate(gate), after: 1) }
        let open = try await tokens.client.open(AgentClient.body(SessionID.unique().text, ["content": "first"]))
        #expect(open.status == 200)
        expect(
            try await tokens.client.say("two", in: SessionID.unique().text), "tokens", policy: #"q=1000;qu="tokens";w=60"#, within: 30...60)
        gate.open()
        try await tokens.stop()
        try forget()
        let day = try await replica(["AGENT_RUNTIME__LIMIT_TOKENS_PER_DAY": "1"])
        upstream.answer { _ in .text("fine") }
        #expect(try await day.client.say("one", in: SessionID.unique().text).status == 200)
        try await eventually("the day is used up") { try await day.client.say("two", in: SessionID.unique().text).status == 429 }
        expect(
            try await day.client.say("two", in: SessionID.unique().text), "day", policy: #"q=1;qu="tokens";w=86400"#, within: 1...86_400)
        try await day.stop()
    }
}
