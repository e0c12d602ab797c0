import Foundation
import SessionStore
import TestSupport
import Testing

@testable import agent_server

@Suite("Log lines of requests and steps", .tags(.processes), .serialized)
struct RequestLogTests {
    let redis: RedisServer
    let upstream: Upstream

    init() async throws {
        (redis, upstream) = (try await RedisServer.shared(), try await Upstream.start())
    }

    private func replica(_ environment: [String: String] = [:]) async throws -> Replica {
        try await Replica.start(
            redis: redis.url, upstream: upstream.url, environment: ["AGENT_RUNTIME__LOG_FORMAT": "json"].merging(environment) { $1 })
    }

    @Test("Each request writes one line")
    func eachRequestLeavesALine() async throws {
        let replica = try await replica()
        let session = SessionID.unique().text
        let answer = try await replica.client.say("secret words", in: session, headers: ["X-Request-ID": "req-1"])
        #expect(answer.done["status"] == "completed" && answer.header("X-Request-ID") == "req-1")
        let line = try await LogLines.first(replica, "the line") { $0["request"] == "req-1" && $0["message"] == "request" }
        #expect(line["level"] == "info" && line["method"] == "POST" && line["path"] == "/agent/message/stream")
        #expect(line["status"] == "200" && line["client"] == "127.0.0.1" && line["code"].isNull)
        #expect(try #require(line["duration_ms"].string.flatMap { Double($0) }) > 0)

        let missing = try await replica.client.get(
            "/agent/sessions/\(SessionID.unique())?secret=1", headers: ["X-Request-ID": "req-2"])
        #expect(missing.status == 404)
        let failed = try await LogLines.first(replica, "the line") { $0["request"] == "req-2" }
        #expect(failed["status"] == "404" && failed["code"] == "session_not_found")
        let long = String(repeating: "x", count: 3000)
        _ = try await replica.client.get("/\(long)", headers: ["X-Request-ID": "req-3"])
        let cut = try await LogLines.first(replica, "the line") { $0["request"] == "req-3" }
        #expect(try #require(cut["path"].string).utf8.count < 300)
        // Security events have lines of their own.
        #expect(try LogLines.of(replica).filter { $0["request"] == "req-1" && $0["event"].isNull }.count == 1)
        #expect(!replica.process.log.contains("secret") && !replica.process.log.contains(long))
        try await replica.stop()
    }

    @Test("Refused API keys are logged, but not once per request")
    func aKeyThatIsRefusedLeavesALineButNotForEachOfMany() async throws {
        let replica = try await replica(["AGENT_RUNTIME__INTERNAL_API_KEY": "the-right-key-of-all"])
        for _ in 0..<200 {
            let answer = try await replica.client.get("/agent/sessions", headers: ["X-Internal-Auth": "guess-1234"])
            #expect(answer.status == 401)
        }
        #expect(try await replica.client.get("/agent/sessions", headers: ["X-Request-ID": "bare"]).status == 401)
        let lines = { try LogLines.of(replica).filter { $0["level"] == "warning" } }
        try await eventually("all are told of, one by one or as a number; the log: \(replica.process.log.suffix(2000))") {
            let one = try lines().filter { $0["message"] == "a key was refused" }.count
            let more = try lines().filter { $0["message"] == "more of these events" }.compactMap {
                $0["count"].string.flatMap { Int($0) }
            }
            return one + more.reduce(0, +) == 201
        }
        let line = try #require(try lines().first)
        #expect(line["message"] == "a key was refused" && line["key"] == "wrong" && line["client_address"] == "127.0.0.1")
        #expect(line["code"] == "unauthorized" && line["path"] == "/agent/sessions" && line["request"].string != nil)
        #expect(try lines().count < 100)
        #expect(!replica.process.log.contains("guess") && !replica.process.log.contains("the-right-key"))
        try await replica.stop()
    }

    @Test("A failed step writes a line with its request id")
    func aFailedStepLeavesALineThatNamesItsRequest() async throws {
        let replica = try await replica()
        upstream.answer { _ in .error(503, "the words of the upstream") }
        let session = SessionID.unique().text
        let answer = try await replica.client.say("x", in: session, headers: ["X-Request-ID": "req-9"])
        #expect(answer.error?["code"] == "llm_unavailable")
        let line = try await LogLines.first(replica, "the line") { $0["message"] == "a step has failed" }
        #expect(line["level"] == "warning" && line["code"] == "llm_unavailable" && line["error"] == "HTTP 503")
        #expect(line["request"] == "req-9" && line["session"].string == session && line["step"] == "1")
        #expect(!replica.process.log.contains("the words"))
        try await replica.stop()
    }

    @Test("A step that lost its lease writes a line with its request id")
    func theStepOfALostLeaseNamesItsRequest() async throws {
        let (one, two) = (try await replica(), try await replica())
        let gate = Gate()
        upstream.answer { _ in UpstreamAnswer.text("a", "b").inserting(.gate(gate), after: 2) }
        let session = SessionID.unique().text
        var open = try await one.client.open(AgentClient.body(session, ["content": "x"]), headers: ["X-Request-ID": "req-7"])
        try await open.next { $0.data["token"] == "a" }
        try await one.pause()
        try await eventually("the other has it") {
            try await two.client.get("/agent/sessions/\(session)").json["step"] == 2
        }
        gate.open()
        one.resume()
        #expect(try await open.rest().done["status"] == "completed")
        let line = try await LogLines.first(one, "the line") { $0["message"] == "the lease was lost" }
        #expect(line["request"] == "req-7" && line["session"].string == session && line["step"] == "1")
        gate.open()
        try await one.stop()
        try await two.stop()
    }

    /// Only the operator gets Redis's error text.
    @Test("The log holds Redis's error about a damaged session")
    func whatIsDamagedIsToldToTheLog() async throws {
        let replica = try await replica()
        let session = SessionID.unique()
        _ = try redis.cli("SET", "agent:{\(session)}:history", "nonsense")
        let answer = try await replica.client.get("/agent/sessions/\(session)/history", headers: ["X-Request-ID": "req-5"])
        #expect(answer.status == 500 && answer.code == "session_damaged")
        #expect(answer.json["detail"] == "a key of this session holds a value of the wrong type")
        let line = try await LogLines.first(replica, "the line") { $0["request"] == "req-5" }
        #expect(line["code"] == "session_damaged" && line["error"].string?.isEmpty == false)
        try await replica.stop()
    }
}
