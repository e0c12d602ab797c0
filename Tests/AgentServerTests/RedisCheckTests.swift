import TestSupport
import Testing

@testable import agent_server

@Suite("Redis checks at the start", .tags(.processes), .serialized)
struct RedisCheckTests {
    private func expectRefusal(_ process: ChildProcess, _ words: String...) async throws {
        #expect(try await process.ended() == 64, "\(process.log)")
        let line = process.log.split(separator: "\n").first { $0.hasPrefix("agent-server: AGENT_RUNTIME__REDIS_URL") } ?? ""
        #expect(!line.isEmpty, "\(process.log)")
        for word in words { #expect(line.contains(word), "\(line)") }
    }

    @Test("A Redis that may evict keys is refused")
    func oneThatMayEvictIsRefused() async throws {
        let redis = try await RedisServer.start(["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"])
        try await expectRefusal(
            try Replica.launch(redis: redis.url), "allkeys-lru", "noeviction", "AGENT_RUNTIME__ALLOW_EVICTION")
        // With either of these settings, Redis evicts no keys.
        for change in [["maxmemory", "0"], ["maxmemory", "100mb", "maxmemory-policy", "noeviction"]] {
            try redis.cli(["CONFIG", "SET"] + change)
            let replica = try await Replica.start(redis: redis.url)
            #expect(!replica.process.log.contains("evict"))
            #expect(try await replica.stop() == 0)
        }
        try await redis.kill()
    }

    @Test("With the setting, a Redis that may evict keys is only warned of")
    func withTheSettingEvictionIsWarnedOf() async throws {
        let redis = try await RedisServer.start(["--maxmemory", "100mb", "--maxmemory-policy", "volatile-ttl"])
        let replica = try await Replica.start(redis: redis.url, environment: ["AGENT_RUNTIME__ALLOW_EVICTION": "true"])
        #expect(replica.process.log.contains("volatile-ttl"))
        #expect(try await replica.client.say("hello", in: "s").done["status"] == "completed")
        #expect(try await replica.stop() == 0)
        try await redis.kill()
    }

    @Test("A Redis that is too old is refused")
    func anOldOneIsRefused() async throws {
        let proxy = try await FaultyProxy.start(to: RedisServer.shared())
        let info = "# Server\r\nredis_version:6.2.14\r\n"
        proxy.inject(.answer("$\(info.utf8.count)\r\n\(info)\r\n"), on: "INFO")
        try await expectRefusal(try Replica.launch(redis: proxy.url), "6.2.14", "7.0")
        try await proxy.stop()
    }

    /// The server waits, and checks Redis when it becomes reachable.
    @Test("A Redis that becomes reachable late is checked then")
    func oneThatComesLateIsLookedAt() async throws {
        let port = try freePort()
        let process = try Replica.launch(redis: "redis://127.0.0.1:\(port)")
        let url = try await process.line(/(http:\/\/127\.0\.0\.1:[0-9]+)/)
        #expect(try await AgentClient(url: String(url)).get("/health/ready").status == 503)
        let redis = try await RedisServer.start(["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-random"], port: port)
        try await expectRefusal(process, "allkeys-random")
        try await redis.kill()
    }

    /// Managed services forbid some commands.
    @Test("A Redis that forbids INFO causes a warning")
    func whereINFOIsForbiddenAWarningSaysSo() async throws {
        let redis = try await RedisServer.start(["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"])
        try redis.cli("ACL", "SETUSER", "agent", "on", ">p", "~*", "&*", "+@all", "-info", "-config")
        let replica = try await Replica.start(redis: "redis://agent:p@127.0.0.1:\(redis.port)")
        #expect(replica.process.log.contains("INFO"))
        #expect(try await replica.client.say("hello", in: "s").done["status"] == "completed")
        try await replica.stop()
        try await redis.kill()
    }

    /// Some services do not implement the command: the server warns once and starts.
    @Test("A Redis that does not know INFO causes one warning")
    func whereINFOIsUnknownAWarningSaysSoOnce() async throws {
        let redis = try await RedisServer.start(["--rename-command", "INFO", ""])
        let replica = try await Replica.start(redis: redis.tcpURL, environment: ["AGENT_RUNTIME__DRAIN_SECONDS": "2"])
        #expect(try await replica.client.say("hello", in: "s").done["status"] == "completed")
        #expect(replica.process.log.split(separator: "\n").count { $0.contains("INFO") } == 1, "\(replica.process.log)")
        #expect(try await replica.stop() == 0)
        try await redis.kill()
    }

    @Test("A Redis that does not report its version causes a warning")
    func oneThatDoesNotSayWhatItIsIsWarnedOf() async throws {
        let proxy = try await FaultyProxy.start(to: RedisServer.shared())
        proxy.inject(.answer("$10\r\n# Server\r\n\r\n"), on: "INFO", times: 100)
        let replica = try await Replica.start(redis: proxy.url)
        try await eventually("the log says so") { replica.process.log.contains("does not say which version") }
        #expect(try await replica.stop() == 0)
        try await proxy.stop()
    }

    /// A single node of a Cluster would refuse most sessions, and a Sentinel all sessions.
    @Test("A Redis of another topology is refused with a hint")
    func aServerOfAnotherTopologyIsRefusedWithAHint() async throws {
        let cluster = try await RedisCluster.start()
        try await expectRefusal(try Replica.launch(redis: cluster.nodes[0].url), "node of a Cluster", "redis-cluster://")
        for node in cluster.nodes { try await node.kill() }
        let sentinels = try await RedisSentinels.start()
        try await expectRefusal(
            try Replica.launch(redis: "redis://127.0.0.1:\(sentinels.sentinels[0].port)"), "Sentinel", "redis-sentinel://")
        try await sentinels.stop()
    }

    /// Requests that wait for missing replicas of Redis fail after ten seconds each. The server
    /// warns at the start and once per outage.
    @Test("Too few Redis replicas for ACK_REPLICAS cause one warning per outage")
    func tooFewReplicasAreWarnedOf() async throws {
        let master = try await RedisServer.start(["--repl-diskless-sync-delay", "0"])
        let replica = try await Replica.start(redis: master.url, environment: ["AGENT_RUNTIME__ACK_REPLICAS": "1"])
        func lines(_ words: String) -> [Substring] { replica.process.log.split(separator: "\n").filter { $0.contains(words) } }
        try await eventually("it is warned of") { lines("fewer replicas").count == 1 }
        #expect(lines("fewer replicas")[0].contains("connected=0") && lines("fewer replicas")[0].contains("AGENT_RUNTIME__ACK_REPLICAS=1"))
        let follower = try await RedisServer.start(["--replicaof", "127.0.0.1", "\(master.port)"])
        try await eventually("there is one") { lines("as many replicas are connected again").count == 1 }
        try await follower.kill()
        try await eventually("it is warned of again") { lines("fewer replicas").count == 2 }
        #expect(try await replica.stop() == 0)
        try await master.kill()
    }
}
