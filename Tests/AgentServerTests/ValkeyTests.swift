import SessionStore
import TestSupport
import Testing

/// A conversation with tools, over HTTP and two replicas.
@Suite(
    "Valkey in place of Redis", .tags(.processes), .serialized, .enabled(if: Valkey.isThere, Comment(rawValue: Valkey.hint)),
    .timeLimit(.minutes(3)))
struct ValkeyTests {
    private func converse(redis url: String) async throws {
        let upstream = try await Upstream.start { request in
            switch request.messages.last?["role"].string {
            case "tool": .text("the ", "file ", "says ", "hi")
            default:
                .calls((id: "c1", name: "read_file", arguments: [#"{"path":"#, #""a"}"#]), (id: "c2", name: "echo", arguments: ["{}"]))
            }
        }
        defer { upstream.stop() }
        var replicas: [Replica] = []
        for _ in 0..<2 { replicas.append(try await Replica.start(redis: url, upstream: upstream.url)) }
        for number in 0..<8 {
            let session = SessionID.unique().text
            let (here, there) = (replicas[number % 2].client, replicas[1 - number % 2].client)
            #expect(try await here.say("read it", in: session).calls.map { $0["call_id"] } == ["c1", "c2"])
            #expect(try await there.get("/agent/sessions/\(session)").json["status"] == "waiting")
            let first = AgentClient.body(session, ["type": "tool_result", "call_id": "c1", "result": "hi"])
            #expect(try await there.post(first).done["status"] == "waiting")
            let last = AgentClient.body(session, ["type": "tool_result", "call_id": "c2", "error": "no"])
            let answer = try await here.post(last)
            #expect(answer.content == "the file says hi" && answer.tokens == answer.content)
            // The repeated request gets the same events from the log.
            #expect(try await there.post(last).content == answer.content)
            let history = try await there.get("/agent/sessions/\(session)/history")
            #expect(history.json["history_length"] == 6, "\(history.text)")
        }
        #expect(try await replicas[0].client.get("/agent/sessions").json["sessions"].array.count >= 8)
        #expect(upstream.violations.isEmpty)
        for replica in replicas { #expect(try await replica.stop() == 0) }
    }

    @Test("A conversation with tools works on a single Valkey")
    func aSingleServer() async throws {
        let valkey = try await Valkey.single()
        try await converse(redis: valkey.url)
        try await valkey.kill()
    }

    @Test("A conversation with tools works on a Valkey cluster")
    func aClusterOfThree() async throws {
        let cluster = try await Valkey.cluster()
        try await converse(redis: cluster.url)
        try await cluster.stop()
    }
}
