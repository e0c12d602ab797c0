import Foundation
import SessionStore
import TestSupport
import Testing

/// Two replicas run with the minimal rights of docs/operations.md.
@Suite("Conversations on each topology", .tags(.processes), .serialized, .timeLimit(.minutes(3)))
struct TopologyTests {
    private func refusals(_ servers: [RedisServer]) throws -> [String] {
        try servers.map { try $0.cli("ACL", "LOG") }.filter { !$0.isEmpty }
    }

    @Test("A conversation works on one server")
    func oneServer() async throws {
        let redis = try await RedisServer.start()
        try await converse(redis.url + "/3")
        #expect(try refusals([redis]).isEmpty)
        try await redis.kill()
    }

    @Test("A conversation works behind Sentinel")
    func sentinel() async throws {
        let redis = try await RedisSentinels.start(replicas: 1)
        let rights = ["ACL", "SETUSER", AccessRules.user] + AccessRules.sentinel
        for sentinel in redis.sentinels { #expect(try sentinel.cli(rights) == "OK") }
        let url = redis.url(query: "?sentinel_username=\(AccessRules.user)&sentinel_password=\(AccessRules.password)")
        try await converse(url, ["AGENT_RUNTIME__ACK_REPLICAS": "1"])
        #expect(try refusals(redis.servers).isEmpty)
        let refused = try redis.sentinels.map { try $0.cli("ACL", "LOG") }.filter { !$0.isEmpty }
        #expect(refused.isEmpty)
        try await redis.stop()
    }

    @Test("A conversation works on a cluster")
    func cluster() async throws {
        let redis = try await RedisCluster.start(replicas: 1)
        try await converse(redis.url, ["AGENT_RUNTIME__ACK_REPLICAS": "1"])
        #expect(try refusals(redis.nodes).isEmpty)
        try await redis.stop()
    }

    /// Servers and Sentinels both use TLS.
    @Test("A conversation works over TLS", arguments: [true, false])
    func overTLS(sentinel: Bool) async throws {
        let certificates = try await Certificates()
        let tls = try await certificates.redisOptions(for: ["IP:127.0.0.1", "DNS:localhost"])
        if sentinel {
            let redis = try await RedisSentinels.start(tls: tls)
            try await converse(redis.url(scheme: "rediss-sentinel"), ["AGENT_RUNTIME__REDIS_CA_FILE": certificates.authority])
            try await redis.stop()
        } else {
            let redis = try await RedisCluster.start(tls: tls)
            try await converse(redis.url(scheme: "rediss-cluster"), ["AGENT_RUNTIME__REDIS_CA_FILE": certificates.authority])
            try await redis.stop()
        }
    }

    /// Tests messages, parallel calls, a viewer, a cancel at the other replica, a released step,
    /// lists and deletion.
    private func converse(_ redis: String, _ environment: [String: String] = [:]) async throws {
        let gate = Gate()
        let upstream = try await Upstream.start()
        upstream.answer { request in
            if request.messages.last?["role"].string == "tool" { return .text("done") }
            switch request.lastContent {
            case "call": return .calls((id: "a", name: "read_file", arguments: ["{}"]), (id: "b", name: "echo", arguments: ["{}"]))
            case "wait": return .text("half", " and half").inserting(.gate(gate), after: 2)
            default: return .text("hello", " there")
            }
        }
        let settings = environment.merging(["AGENT_RUNTIME__DRAIN_SECONDS": "0", "AGENT_RUNTIME__SESSION_TTL": "600"]) { $1 }
        async let first = Replica.start(redis: redis, upstream: upstream.url, name: "one", environment: settings)
        async let second = Replica.start(redis: redis, upstream: upstream.url, name: "two", environment: settings)
        let (one, two) = try await (first, second)
        // The test uses several sessions, so that a Cluster stores them on several nodes.
        for _ in 0..<6 {
            let session = SessionID.unique().text
            #expect(try await one.client.say("hi", in: session).content == "hello there")
            let asked = try await one.client.say("call", in: session, headers: ["Idempotency-Key": "k"])
            #expect(asked.calls.count == 2)
            #expect(try await two.client.say("call", in: session, headers: ["Idempotency-Key": "k"]).calls.count == 2)
            let calls = asked.calls.compactMap { $0["call_id"].string }
            #expect(try await two.client.result("r", of: calls[0], in: session).done["status"] == "waiting")
            #expect(try await one.client.result("r", of: calls[1], in: session).content == "done")
            #expect(try await two.client.get("/agent/sessions/\(session)/history").json["history_length"] == 8)
        }
        let session = SessionID.unique().text
        var open = try await one.client.open(AgentClient.body(session, ["content": "wait"]))
        try await open.next { $0.data["token"].string == "half" }
        var viewer = try await two.client.open("GET", "/agent/sessions/\(session)/stream")
        try await viewer.next { $0.data["token"].string == "half" }
        #expect(try await two.client.send("POST", "/agent/sessions/\(session)/cancel").status == 202)
        #expect(try await open.rest().done["status"] == "cancelled")
        #expect(try await viewer.rest().done["status"] == "cancelled")

        open = try await one.client.open(AgentClient.body(session, ["content": "wait"]))
        try await open.next { $0.data["token"].string == "half" }
        async let stopped = one.stop()
        gate.open()
        let listed = { try await two.client.get("/agent/sessions/\(session)").json["status"] == "idle" }
        try await eventually("the other replica ends it") { try await listed() }
        #expect(try await stopped == 0)
        #expect(try await two.client.get("/agent/sessions/\(session)/history").json["history_length"] == 5)
        try await eventually("it is listed") { try await two.client.get("/agent/sessions").json["sessions"].array.count == 7 }
        #expect(try await two.client.send("DELETE", "/agent/sessions/\(session)").status == 204)
        #expect(try await two.client.get("/agent/sessions/\(session)").status == 404)
        #expect(upstream.violations.isEmpty)
        #expect(!two.process.log.contains("NOPERM") && !two.process.log.contains(AccessRules.password), "\(two.process.log)")
        try await two.stop()
        upstream.stop()
    }
}
