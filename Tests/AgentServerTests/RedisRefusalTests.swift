import SessionStore
import TestSupport
import Testing

/// A Redis that answers, and refuses what a message writes: what clients, balancers and operators
/// see.
@Suite(.timeLimit(.minutes(2))) struct RedisRefusalTests {
    private func refusals(_ replica: Replica, _ words: String) -> Int {
        replica.process.log.split(separator: "\n").count { $0.contains("writes are refused") && $0.contains(words) }
    }

    /// No other replica is better off: this one stays in the rotation, where it is read from.
    @Test func aFullRedisIsSaidOnceAndTheReplicaStaysReady() async throws {
        let redis = try await RedisServer.start(["--maxmemory-policy", "noeviction"])
        let replica = try await Replica.start(redis: redis.url)
        #expect(try await replica.client.say("hello", in: "s").done["status"] == "completed")
        try redis.cli("CONFIG", "SET", "maxmemory", "1")
        for _ in 0..<5 {
            let answer = try await replica.client.say("again", in: "s")
            #expect(answer.status == 503 && answer.code == "store_unavailable", "\(answer.text)")
        }
        try await eventually("the log says so") { refusals(replica, "OOM") > 0 }
        #expect(refusals(replica, "OOM") == 1, "\(replica.process.log)")
        #expect(try await replica.client.get("/health/ready").status == 200)
        #expect(try await replica.client.get("/agent/sessions/s/stream").done["status"] == "completed")
        try redis.cli("CONFIG", "SET", "maxmemory", "0")
        #expect(try await replica.client.say("again", in: "s").done["status"] == "completed")
        #expect(try await replica.stop() == 0)
        try await redis.kill()
    }

    /// Another replica may have found the new master already.
    @Test func aRedisThatTurnsReplicaMakesTheReplicaUnready() async throws {
        let redis = try await RedisServer.start()
        let other = try await RedisServer.start()
        let replica = try await Replica.start(redis: redis.url)
        #expect(try await replica.client.say("hello", in: "s").done["status"] == "completed")
        try redis.cli("REPLICAOF", "127.0.0.1", "\(other.port)")
        let answer = try await replica.client.say("again", in: "s")
        #expect(answer.status == 503 && answer.code == "store_unavailable", "\(answer.text)")
        try await eventually("it is not ready") { try await replica.client.get("/health/ready").status == 503 }
        try await eventually("the log says so") { refusals(replica, "READONLY") > 0 }
        #expect(refusals(replica, "READONLY") == 1, "\(replica.process.log)")
        try redis.cli("REPLICAOF", "NO", "ONE")
        try await eventually("it is ready") { try await replica.client.get("/health/ready").status == 200 }
        #expect(try await replica.client.say("again", in: "t").done["status"] == "completed")
        #expect(try await replica.stop() == 0)
        for server in [redis, other] { try await server.kill() }
    }

    /// Services that know no headers of scripts: the log has their words before the first message
    /// comes, and messages are refused at once.
    @Test func scriptsThatRedisCannotCompileAreSaidAtTheStart() async throws {
        let redis = try await RedisServer.shared()
        let proxy = try await FaultyProxy.start(to: redis)
        let words = "Error compiling script (new function): user_script:1: unexpected symbol near '#'"
        proxy.inject(.answer("-ERR \(words)\r\n"), times: 10_000) { $0.first == "EVAL" }
        proxy.inject(.answer("-NOSCRIPT No matching script. Please use EVAL.\r\n"), times: 10_000) { $0.first == "EVALSHA" }
        let replica = try await Replica.start(redis: proxy.url)
        try await eventually("the log says so") {
            replica.process.log.contains("cannot run the scripts") && replica.process.log.contains(words)
        }
        let begun = ContinuousClock.now
        let answer = try await replica.client.say("hello", in: SessionID.unique().text)
        #expect(answer.status == 503 && answer.code == "store_unavailable", "\(answer.text)")
        #expect(ContinuousClock.now - begun < .seconds(4))
        #expect(try await replica.stop() == 0)
        try await proxy.stop()
    }
}
