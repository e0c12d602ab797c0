import SessionStore
import TestSupport
import Testing

/// A number out of range causes at most an error, and only for its own session.
@Suite("Numbers out of range in Redis and in requests", .tags(.processes), .serialized)
struct HostileNumbersTests: ServerSuite {
    private static let most = "9223372036854775807"

    let server: TestServer

    init() async throws {
        server = try await TestServer(redis: RedisServer.start())
    }

    /// Creates a finished session, and sets fields of its state.
    private func session(_ fields: String...) async throws -> (id: SessionID, path: String) {
        let session = SessionID.unique()
        #expect(try await client.say("hello", in: session.text).done["status"] == "completed")
        if !fields.isEmpty { try redis.cli(["HSET", RedisKeys(session).state] + fields) }
        return (session, "/agent/sessions/\(session)")
    }

    private func othersAreWell() async throws {
        let other = try await session()
        #expect(try await client.get(other.path).status == 200)
        #expect(replica.process.isRunning)
    }

    /// The sweepers of a running replica and of a new replica both find the step.
    @Test("A lease far in the future does not stop sweepers from other steps")
    func aLeaseThatNeverEnds() async throws {
        let (session, path) = try await session("status", "running", "lease_until", Self.most)
        let keys = RedisKeys(session)
        // The step of another session has really lost its replica.
        let lost = SessionID.unique()
        #expect(try await client.say("hello", in: lost.text).done["status"] == "completed")
        try redis.cli("HSET", RedisKeys(lost).state, "status", "running", "lease_until", "1")
        for id in [session, lost] { try redis.cli("ZADD", RedisKeys(id).running, "1", id.text) }
        try await eventually("it is put off") { try redis.cli("ZSCORE", keys.running, session.text) != "1" }
        try await eventually("the lost one is taken over", timeout: .seconds(20)) {
            try redis.cli("HGET", RedisKeys(lost).state, "status") == "idle"
        }
        #expect(try await client.get(path).json["code"] == "session_damaged")
        #expect(try await client.get("\(path)/stream").json["code"] == "session_damaged")
        #expect(try await client.send("POST", "\(path)/cancel", body: "{}").json["code"] == "session_damaged")
        #expect(try await client.say("more", in: session.text).status == 409)
        let newcomer = try await Replica.start(redis: redis.url, upstream: upstream.url)
        try redis.cli("ZADD", keys.running, "1", session.text)
        try await eventually("it is put off once more") { try redis.cli("ZSCORE", keys.running, session.text) != "1" }
        #expect(newcomer.process.isRunning)
        try await othersAreWell()
    }

    @Test("Cancels with an impossible origin are refused, and the latest step can still be cancelled")
    func anOriginBehindTheStepThatReplacesIt() async throws {
        let (session, path) = try await session()
        let state = RedisKeys(session).state
        for (origin, step, status) in [("9", 5, 409), (Self.most, 5, 500), ("-\(Self.most)", 5, 500), ("1", 4, 409)] {
            try redis.cli(
                "HSET", state, "status", "running", "fence", "3", "replaces", "2", "origin", origin, "lease_until", "9007199254740992")
            let answer = try await client.send("POST", "\(path)/cancel", body: #"{"step":\#(step)}"#)
            #expect(answer.status == status, "\(origin): \(answer.json)")
        }
        // A client can cancel the latest step, even if the state names a wrong origin.
        try redis.cli("HSET", state, "origin", "9")
        #expect(try await client.send("POST", "\(path)/cancel", body: #"{"step":3}"#).status == 202)
        try await othersAreWell()
    }

    @Test(
        "A field without a valid number damages its own session alone",
        arguments: ["prompt_tokens", "completion_tokens", "fence", "attempt", "created_at"], [most, "-\(most)", "1e3", "many"]
    )
    func aFieldThatHoldsNoNumber(field: String, value: String) async throws {
        let (_, path) = try await session(field, value)
        let answer = try await client.get(path)
        #expect(answer.status == 500 && answer.json["code"] == "session_damaged", "\(answer.json)")
        #expect(try await client.get("/agent/sessions").status == 200)
        try await othersAreWell()
    }

    @Test("Sums of the largest accepted numbers do not overflow")
    func theLargestNumbersThatAreRead() async throws {
        let (_, path) = try await session("prompt_tokens", "9007199254740992", "completion_tokens", "9007199254740992")
        let answer = try await client.get(path)
        #expect(answer.status == 200 && answer.text.contains(#""total_tokens":18014398509481984"#))
    }

    @Test("Impossible history ranges and log ids do not break a stream")
    func placesInTheLogThatAreNone() async throws {
        let (session, path) = try await session()
        let keys = RedisKeys(session)
        // The journal's record of a step that has left the log, with a usage out of range.
        try redis.cli("DEL", keys.events, keys.steps)
        try redis.cli(
            "RPUSH", keys.steps,
            #"{"step":1,"status":"completed","history":[1,3],"usage":{"prompt_tokens":\#(Self.most),"completion_tokens":\#(Self.most)}}"#)
        #expect(try await client.get("\(path)/stream").done["status"] == "completed")
        for range in ["[\(Self.most),\(Self.most)]", "[0,\(Self.most)]", "[-\(Self.most),\(Self.most)]"] {
            try redis.cli("LSET", keys.steps, "0", #"{"step":1,"status":"completed","history":\#(range)}"#)
            #expect(try await client.get("\(path)/stream").done["status"].string != nil)
        }
        try redis.cli("XADD", keys.events, "1-18446744073709551615", "token", "x", "done", "{}")
        #expect(try await client.get("\(path)/stream").done["status"].string != nil)
        for id in ["\(Self.most)-\(Self.most).abcd", "1-\(Self.most).abcd", "\(Self.most)-0.abcd"] {
            let answer = try await client.send("GET", "\(path)/stream", headers: ["Last-Event-ID": id])
            #expect(answer.status == 200 || answer.status == 204, "\(id)")
        }
        for body in [#"{"step":\#(Self.most)}"#, #"{"step":-\#(Self.most)}"#, #"{"step":9223372036854775808}"#, #"{"step":1e300}"#] {
            #expect(400..<500 ~= (try await client.send("POST", "\(path)/cancel", body: body).status))
        }
        for query in ["offset=\(Self.most)", "limit=-\(Self.most)", "offset=2147483647&limit=1000"] {
            #expect([200, 400].contains(try await client.get("\(path)/history?\(query)").status))
        }
        #expect(try await client.get("/agent/sessions?cursor=\(Self.most)-a").status == 200)
        let expecting = try await client.say("hello", in: session.text, ["expected_length": .number(9e15)])
        #expect(expecting.status == 409)
        try await othersAreWell()
    }

    @Test("Index entries with impossible times do not break the session list")
    func indexEntriesBeyondAllTimes() async throws {
        let (session, _) = try await session()
        for score in ["1e300", "-1e300", "inf", "-inf", Self.most] {
            try redis.cli("ZADD", RedisKeys(session).index, score, session.text)
            try redis.cli("ZADD", RedisKeys(session).running, score, session.text)
            #expect(try await client.get("/agent/sessions?limit=1").status == 200)
        }
        try await othersAreWell()
    }
}
