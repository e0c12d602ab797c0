import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// A Redis with sessions of layout 1, as an earlier build has left them.
@Suite("Upgrades", .tags(.processes), .serialized, .timeLimit(.minutes(2)))
struct UpgradeTests {
    private let redis: RedisServer

    init() async throws {
        redis = try await .start()
        try await RecordedRedis.restore("layout-1.txt", over: redis.client().connection(for: ""))
    }

    private func field(_ name: String, of session: String) throws -> String {
        try redis.cli("HGET", "agent:{\(session)}:state", name)
    }

    @Test("Sessions of layout 1 are read, continued and taken over, before and after the layout is raised")
    func sessionsOfLayout1GoOn() async throws {
        let replica = try await Replica.start(redis: redis.url, name: "new-build")
        let client = replica.client
        #expect(try redis.cli("HGET", "agent:meta", "layout") == "1")
        // Read.
        let list = try await client.get("/agent/sessions").json["sessions"].array.compactMap(\.["session_id"].string)
        #expect(Set(list) == ["ended", "waiting", "running"])
        let ended = try await client.get("/agent/sessions/ended").json
        #expect(ended["status"] == "idle" && ended["step"] == 2 && ended["history_length"] == 5)
        #expect(ended["created_at"].int ?? 0 > 1_700_000_000_000)
        #expect(
            try await client.get("/agent/sessions/ended/history?offset=1&limit=1").json["messages"][0]["content"] == "the first message")
        // A request that the earlier build accepted is recognised, and its step is emitted again.
        let replay = try await client.send(
            "POST", "/agent/message/stream", body: #"{"session_id":"ended","message":{"content":"the first message"}}"#,
            headers: ["Content-Type": "application/json", "Idempotency-Key": "key-1"])
        #expect(replay.status == 200 && replay.done["step"] == 1 && replay.done["status"] == "completed")
        // Continued: a message, and the last result of two calls.
        #expect(try await client.say("and another", in: "ended").done["history_length"] == 7)
        let call = try #require(
            try await client.get("/agent/sessions/waiting").json["pending_calls"][0]["call_id"].string)
        let answered = try await client.result("the other text", of: call, in: "waiting")
        #expect(answered.done["status"] == "completed", "\(answered.text)")
        // Taken over: a sweeper finds the step, whose lease has run out.
        try await eventually("the step is taken over") {
            try await client.get("/agent/sessions/running").json["owner"] == "new-build"
        }
        #expect(try field("replaces", of: "running") == "2")
        #expect(try await client.send("POST", "/agent/sessions/running/cancel").status == 202)
        try await eventually("it has ended") { try await client.get("/agent/sessions/running").json["status"] == "idle" }
        #expect(try field("v", of: "ended").isEmpty && field("v", of: "running").isEmpty)

        #expect(try await layout("raise", "3") == 0)
        try await replica.stop()
        let raised = try await Replica.start(redis: redis.url)
        for session in ["ended", "waiting", "running"] {
            #expect(try await raised.client.say("after it", in: session).done["status"] == "completed", "\(session)")
            #expect(try field("v", of: session) == "3", "\(session)")
            #expect(try redis.cli("--scan", "--pattern", "agent:{\(session)}:*").split(separator: "\n").count == 7, "\(session)")
        }
        try await raised.stop()
    }

    private func layout(_ arguments: String...) async throws -> Int32 {
        try await Replica.launch(redis: redis.url, arguments: ["layout"] + arguments).ended()
    }
}
