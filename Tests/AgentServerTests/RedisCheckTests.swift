import TestSupport
import Testing

@testable import agent_server

/// On which Redis the server starts.
@Suite struct RedisCheckTests {
    private func expectRefusal(_ process: ChildProcess, _ words: String...) async throws {
        #expect(try await process.ended() == 64, "\(process.log)")
        let line = process.log.split(separator: "\n").first { $0.hasPrefix("agent-server: AGENT_RUNTIME__REDIS_URL") } ?? ""
        #expect(!line.isEmpty, "\(process.log)")
        for word in words { #expect(line.contains(word), "\(line)") }
    }

    @Test func oneThatMayEvictIsRefused() async throws {
        let redis = try await RedisServer.start(["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"])
        try await expectRefusal(
            try Replica.launch(redis: redis.url), "allkeys-lru", "noeviction", "AGENT_RUNTIME__ALLOW_EVICTION")
        // Nothing evicts without a limit, and nothing with this policy.
        for change in [["maxmemory", "0"], ["maxmemory", "100mb", "maxmemory-policy", "noeviction"]] {
            try redis.cli(["CONFIG", "SET"] + change)
            let replica = try await Replica.start(redis: redis.url)
            #expect(!replica.process.log.contains("evict"))
            #expect(try await replica.stop() == 0)
        }
        try await redis.kill()
    }

    @Test func withTheSettingEvictionIsWarnedOf() async throws {
        let redis = try await RedisServer.start(["--maxmemory", "100mb", "--maxmemory-policy", "volatile-ttl"])
        let replica = try await Replica.start(redis: redis.url, environment: ["AGENT_RUNTIME__ALLOW_EVICTION": "true"])
        #expect(replica.process.log.contains("volatile-ttl"))
        #expect(try await replica.client.say("hello", in: "s").done["status"] == "completed")
        #expect(try await replica.stop() == 0)
        try await redis.kill()
    }

    @Test func anOldOneIsRefused() async throws {
        let proxy = try await FaultyProxy.start(to: RedisServer.shared())
        let info = "# Server\r\nredis_version:6.2.14\r\n"
        proxy.inject(.answer("$\(info.utf8.count)\r\n\(info)\r\n"), on: "INFO")
        try await expectRefusal(try Replica.launch(redis: proxy.url), "6.2.14", "7.0")
        try await proxy.stop()
    }

    /// It waits, and looks when Redis is there.
    @Test func oneThatComesLateIsLookedAt() async throws {
        let port = try freePort()
        let process = try Replica.launch(redis: "redis://127.0.0.1:\(port)")
        let url = try await process.line(/(http:\/\/127\.0\.0\.1:[0-9]+)/)
        #expect(try await AgentClient(url: String(url)).get("/health/ready").status == 503)
        let redis = try await RedisServer.start(["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-random"], port: port)
        try await expectRefusal(process, "allkeys-random")
        try await redis.kill()
    }

    /// Managed services forbid some commands.
    @Test func whereINFOIsForbiddenAWarningSaysSo() async throws {
        let redis = try await RedisServer.start(["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"])
        try redis.cli("ACL", "SETUSER", "agent", "on", ">p", "~*", "&*", "+@all", "-info", "-config")
        let replica = try await Replica.start(redis: "redis://agent:p@127.0.0.1:\(redis.port)")
        #expect(replica.process.log.contains("INFO"))
        #expect(try await replica.client.say("hello", in: "s").done["status"] == "completed")
        try await replica.stop()
        try await redis.kill()
    }
}
