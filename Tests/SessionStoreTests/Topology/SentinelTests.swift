import Foundation
import NIOPosix
import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// Runs a real master, its replicas, and three real sentinels.
@Suite("Real sentinels", .tags(.redis), .serialized, .timeLimit(.minutes(3)))
struct SentinelTests {
    private func port(_ client: RedisConnectionPool) async throws -> Int? {
        let result = try await client.route(for: "k").send(pipeline: [RedisCommand("INFO", "server")]).first
        let info = try? result?.get().string
        return info?.firstMatch(of: /tcp_port:([0-9]+)/).flatMap { Int($0.output.1) }
    }

    @Test("The master is found and used")
    func theMasterIsFoundAndUsed() async throws {
        let redis = try await RedisSentinels.start(password: "p", sentinelPassword: "s3cr3t")
        let client = try await RedisConfiguration(url: redis.url(credentials: ":p@", query: "?sentinel_password=s3cr3t")).client()
        #expect(try await port(client) == redis.servers[0].port)
        let store = RedisSessionStore(client: client, configuration: StoreConfiguration(replica: "one"), logger: .quiet)
        let lease = try await store.started(.user("hello", in: .unique()))
        #expect(try await store.commit(StepCommit(lease)) == .held)
        client.shutDown()

        // Without the sentinels' password the client finds no master, and the error says so.
        let logs = LogCollector()
        let stranger = RedisConnectionPool(
            configuration: try RedisConfiguration(url: redis.url(credentials: ":p@", query: "?sentinel_password=wr0ng")),
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: logs.logger)
        try await eventually("it is told why") { logs.text.contains("no sentinel knows") }
        #expect(!stranger.isReady && !logs.text.contains("wr0ng"))
        stranger.shutDown()
        try await redis.stop()
    }

    /// Before the client's response, one of the two replicas has each write.
    @Test("Turns go on after the master is killed, without losing acknowledged writes (I1, I2)")
    func turnsGoOnWhenTheMasterIsKilled() async throws {
        let redis = try await RedisSentinels.start(replicas: 2)
        let store = try await redis.configuration().store(lease: .seconds(1)) { $0.acknowledgement = Acknowledgement(replicas: 1) }
        let traffic = Traffic(store, sessions: 8)
        try await traffic.run {
            try await eventually("turns run") { traffic.count > 40 }
            let generation = store.client.generation
            try await redis.servers[0].kill()
            try await eventually("another master is used", timeout: .seconds(40)) {
                store.client.generation != generation && store.isReady
            }
            let before = traffic.count
            try await eventually("turns run again", timeout: .seconds(40)) { traffic.count > before + 40 }
        }
        #expect(try await port(store.client) != redis.servers[0].port)
        try await traffic.check()
        store.client.shutDown()
        try await redis.stop()
    }

    /// The master is demoted while it runs, and refuses writes.
    @Test("A demoted master is left at once")
    func aDemotedMasterIsNotWrittenTo() async throws {
        let redis = try await RedisSentinels.start()
        let client = try await RedisConfiguration(url: redis.url(credentials: "")).client()
        #expect(try await client.route(for: "k").send(RedisCommand("SET", "k", "old")).string == "OK")
        // The sentinels do not learn of the demotion: only the server itself tells the client.
        for sentinel in redis.sentinels { sentinel.process.signal(SIGSTOP) }
        try redis.servers[1].cli("REPLICAOF", "NO", "ONE")
        try redis.servers[0].cli("REPLICAOF", "127.0.0.1", "\(redis.servers[1].port)")
        let refused = try #require(
            await #expect(throws: RedisError.self) { try await client.route(for: "k").send(RedisCommand("SET", "k", "new")) })
        #expect(refused.code == .readOnly && !refused.mayHaveBeenApplied)
        // While the sentinels are paused, no server names the new master. The client does not use
        // the old one meanwhile.
        try await eventually("it is left") { !client.isReady }
        for _ in 0..<5 {
            let error = await #expect(throws: RedisError.self) { try await client.route(for: "k").send(RedisCommand("SET", "k", "new")) }
            #expect(error?.mayHaveBeenApplied == false)
        }
        #expect(!client.isReady)
        for sentinel in redis.sentinels { sentinel.process.signal(SIGCONT) }
        // The sentinels then restore one master.
        try await eventually("a master is used", timeout: .seconds(60)) {
            guard case .success? = try await client.route(for: "k").send(pipeline: [RedisCommand("SET", "k", "new")]).first else {
                return false
            }
            return try await port(client) == redis.masterPort()
        }
        client.shutDown()
        try await redis.stop()
    }

    /// The client reconnects as long as the server says that it is a master.
    @Test("Without sentinels the last known master is used")
    func withoutSentinelsTheLastKnownMasterIsUsed() async throws {
        let redis = try await RedisSentinels.start()
        let client = try await RedisConfiguration(url: redis.url(credentials: "")).client()
        #expect(try await port(client) == redis.servers[0].port)
        for sentinel in redis.sentinels { sentinel.process.signal(SIGKILL) }
        let generation = client.generation
        try redis.servers[0].cli("CLIENT", "KILL", "TYPE", "normal")
        try await eventually("it is connected again") { client.generation > generation && client.isReady }
        #expect(try await client.route(for: "k").send(RedisCommand("SET", "k", "v")).string == "OK")
        #expect(try redis.servers[0].cli("GET", "k") == "v")
        client.shutDown()
        try await redis.stop()
    }

    /// The old master still works, says that it is a master, and keeps its connections.
    @Test("A published +switch-master is followed")
    func whatASentinelPublishesIsFollowed() async throws {
        let (old, new) = (try await RedisServer.start(), try await RedisServer.start())
        // This server replies like a sentinel, and the test publishes on it.
        let stage = try await RedisServer.start()
        let sentinel = try await FaultyProxy.start(to: stage)
        func name(_ server: RedisServer) {
            sentinel.clearFaults()
            sentinel.inject(.answer("*2\r\n$9\r\n127.0.0.1\r\n$5\r\n\(server.port)\r\n"), on: "SENTINEL", times: 1_000)
        }
        name(old)
        let client = try await RedisConfiguration(url: "redis-sentinel://127.0.0.1:\(sentinel.port)/m").client()
        #expect(try await port(client) == old.port)
        let listener = try await RedisConnection.open(sentinel.configuration).ready()
        func publish(_ message: String) async throws -> Int64? {
            try await listener.send(RedisCommand("PUBLISH", "+switch-master", message)).integer
        }
        try await eventually("somebody listens") { try await publish("another 127.0.0.1 1 127.0.0.1 \(new.port)") == 1 }
        name(new)
        #expect(try await publish("m 127.0.0.1 \(old.port) 127.0.0.1 \(new.port)") == 1)
        try await eventually("the new one is used") { try await port(client) == new.port }
        try await eventually("the old one is left") { try !old.cli("CLIENT", "LIST").contains("name=agent-runtime") }
        client.shutDown()
        listener.shutDown()
        try await sentinel.stop()
        for server in [old, new, stage] { try await server.kill() }
    }

    @Test("A failover that the sentinels make is followed")
    func aFailoverThatSentinelsMakeIsFollowed() async throws {
        let redis = try await RedisSentinels.start()
        let store = try await redis.configuration().store(lease: .seconds(1))
        let traffic = Traffic(store, sessions: 4)
        try await traffic.run {
            try await eventually("turns run") { traffic.count > 20 }
            try redis.sentinels[1].cli("SENTINEL", "FAILOVER", RedisSentinels.masterName)
            try await eventually("the other server is used", timeout: .seconds(40)) {
                try await port(store.client) == redis.servers[1].port
            }
            let before = traffic.count
            try await eventually("turns run again") { traffic.count > before + 20 }
        }
        // After the promotion of its replica, writes to the old master are lost, because no call
        // waited for a replica.
        try await traffic.check(losesNothing: false)
        store.client.shutDown()
        try await redis.stop()
    }

    /// The client asks the next sentinel for the master and for notifications.
    @Test("A silent sentinel is skipped")
    func aSilentSentinelIsPassedOver() async throws {
        let redis = try await RedisSentinels.start()
        redis.sentinels[0].process.signal(SIGSTOP)
        let client = try await redis.configuration().client()
        #expect(try await port(client) == redis.servers[0].port)
        try await redis.servers[0].kill()
        try await eventually("the other server is used", timeout: .seconds(40)) {
            try await port(client) == redis.servers[1].port
        }
        client.shutDown()
        try await redis.stop()
    }

    @Test("Wake-ups continue after a failover")
    func wakeUpsGoOnAfterAFailover() async throws {
        let redis = try await RedisSentinels.start()
        let store = try await redis.configuration().store(lease: .seconds(1))
        let session = SessionID.unique()
        let wakes = store.wakes(of: session)
        try await redis.servers[0].kill()
        try await eventually("a turn runs", timeout: .seconds(40)) {
            do {
                let lease = try await store.started(.user("hello", in: session))
                return try await store.commit(StepCommit(lease)) == .held
            } catch { return false }
        }
        // Repeats until no earlier signal is left.
        try await within(.seconds(60), "a wake-up of another replica") {
            let other = try await redis.configuration().store(replica: "replica-2")
            while true {
                let begun = ContinuousClock.now
                await wakes.next(timeout: .milliseconds(500))
                if ContinuousClock.now - begun >= .milliseconds(500) { break }
            }
            let begun = ContinuousClock.now
            _ = try await other.begin(.user("again", in: session))
            await wakes.next(timeout: .seconds(20))
            #expect(ContinuousClock.now - begun < .seconds(10))
            other.client.shutDown()
        }
        store.client.shutDown()
        try await redis.stop()
    }
}
