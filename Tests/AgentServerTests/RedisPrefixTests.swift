import LocalDeployment
import TestSupport
import Testing

/// Whole servers under a prefix, with the rights of that prefix.
@Suite("Servers with a key prefix", .tags(.processes), .serialized, .timeLimit(.minutes(2)))
struct RedisPrefixTests {
    @Test("Two servers with different prefixes share a Redis, and each command works under its rights")
    func twoServersShareARedis() async throws {
        let redis = try await RedisServer.start()
        var replicas: [Replica] = []
        for prefix in ["one", "two"] {
            try redis.cli(["ACL", "SETUSER", prefix] + AccessRules.server(prefix: prefix))
            replicas.append(
                try await Replica.start(
                    redis: "redis://\(prefix):\(AccessRules.password)@127.0.0.1:\(redis.port)", name: "replica",
                    environment: ["AGENT_RUNTIME__REDIS_PREFIX": prefix]))
        }
        for (index, replica) in replicas.enumerated() {
            #expect(try await replica.client.say("message of \(index)", in: "s").done["step"] == 1)
            #expect(try await replica.client.get("/agent/sessions").json["sessions"].array.count == 1)
            let history = try await replica.client.get("/agent/sessions/s/history?offset=1").json["messages"]
            #expect(history[0]["content"].string == "message of \(index)")
        }
        #expect(try redis.cli("HGET", "one:meta", "layout") == "3" && redis.cli("HGET", "two:meta", "layout") == "3")
        let keys = try redis.lines("--scan")
        #expect(keys.contains("one:{s}:history") && keys.allSatisfy { $0.hasPrefix("one:") || $0.hasPrefix("two:") })
        let layout = try Replica.launch(
            redis: redis.url, environment: ["AGENT_RUNTIME__REDIS_PREFIX": "agent"], arguments: ["layout"])
        #expect(try await layout.ended() == 0)
        #expect(layout.log.contains("layout not set"), "\(layout.log)")
        for replica in replicas {
            #expect(try await replica.client.send("DELETE", "/agent/sessions/s").status == 204)
            #expect(try await replica.stop() == 0)
            #expect(!replica.process.log.contains("NOPERM"), "\(replica.process.log)")
        }
        #expect(try redis.cli("--scan", "--pattern", "*{s}*") == "")
    }

    @Test("A server says that it keeps sessions for ever, unless a setting ends them")
    func aServerSaysThatSessionsStay() async throws {
        let redis = try await RedisServer.start()
        for (environment, says) in [
            ([:], true), (["AGENT_RUNTIME__SESSION_MAX_AGE": "600"], false), (["AGENT_RUNTIME__SESSION_TTL": "600"], false),
        ] {
            let replica = try await Replica.start(redis: redis.url, environment: environment)
            #expect(replica.process.log.contains("sessions are kept for ever") == says, "\(environment)")
            #expect(try await replica.client.say("hello", in: "s").status == 200)
            #expect((try redis.cli("PTTL", "agent:{s}:state") == "-1") == says, "\(environment)")
            try await replica.stop()
        }
    }
}
