import Locks
import SessionStore
import TestSupport
import Testing

/// Redis replies, but refuses a message's writes. Clients, balancers and operators learn the
/// reason.
@Suite("A Redis that refuses writes", .tags(.processes), .serialized, .timeLimit(.minutes(2)))
struct RedisRefusalTests {
    private func refusals(_ replica: Replica, _ words: String) -> Int {
        replica.process.log.split(separator: "\n").count { $0.contains("writes are refused") && $0.contains(words) }
    }

    /// No other replica can store more. This replica remains ready, because clients can still read
    /// from it.
    @Test("A full Redis is logged once, and the replica stays ready")
    func aFullRedisIsSaidOnceAndTheReplicaStaysReady() async throws {
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

    /// Another replica may already know the new master.
    @Test("A Redis that becomes read-only makes the replica unready")
    func aRedisThatTurnsReplicaMakesTheReplicaUnready() async throws {
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

    private static let compilerWords = "Error compiling script (new function): user_script:1: unexpected symbol near '#'"

    private func refuseScripts(_ proxy: FaultyProxy, _ words: String) {
        proxy.inject(.answer("-ERR \(words)\r\n"), times: 10_000) { $0.first == "EVAL" }
        proxy.inject(.answer("-NOSCRIPT No matching script. Please use EVAL.\r\n"), times: 10_000) { $0.first == "EVALSHA" }
    }

    /// A service that does not support the scripts' first line would refuse every message. The
    /// server refuses to start, and quotes the service.
    @Test(
        "A Redis that cannot run the scripts is refused at the start, with its own words",
        arguments: [compilerWords, "unknown command 'EVAL'"]
    )
    func aRedisThatRunsNoScriptsIsRefusedAtTheStart(words: String) async throws {
        let proxy = try await FaultyProxy.start(to: RedisServer.shared())
        refuseScripts(proxy, words)
        let process = try Replica.launch(redis: proxy.url)
        #expect(try await process.ended() == 64)
        let line = process.log.split(separator: "\n").first { $0.hasPrefix("agent-server: AGENT_RUNTIME__REDIS_URL") } ?? ""
        #expect(line.contains("scripts") && line.contains(words), "\(process.log)")
        try await proxy.stop()
    }

    /// If Redis refuses to compile a script, no command of the script has run.
    @Test(
        "A script that Redis refuses to compile has written nothing, and the client learns it at once",
        arguments: [compilerWords, "Error while compiling new script: user_script:1: unexpected symbol", "unknown command 'EVAL'"]
    )
    func aScriptThatIsRefusedLaterHasWrittenNothing(words: String) async throws {
        let proxy = try await FaultyProxy.start(to: RedisServer.shared())
        let replica = try await Replica.start(redis: proxy.url)
        refuseScripts(proxy, words)
        let answer = try await replica.client.say("hello", in: SessionID.unique().text)
        #expect(answer.status == 503 && answer.code == "store_unavailable", "\(answer.text)")
        #expect(try await replica.stop() == 0)
        try await proxy.stop()
    }

    /// Services that implement only a part of Redis support no transactions, or none that contain
    /// TIME. The replica then uses a script.
    @Test("A Redis without transactions serves all requests", arguments: ["MULTI", "TIME"])
    func aRedisWithoutTransactionsServesAllTheSame(command: String) async throws {
        let proxy = try await FaultyProxy.start(to: RedisServer.shared())
        let isWithin = Guarded(false)
        proxy.inject(.answer("-ERR \(command) is not supported here\r\n"), times: 10_000) { words in
            isWithin.withLock { isWithin in
                if words.first == "MULTI" { isWithin = true }
                if words.first == "EXEC" { isWithin = false }
                return words.first == command && isWithin
            }
        }
        let replica = try await Replica.start(redis: proxy.url)
        let session = SessionID.unique().text
        #expect(try await replica.client.say("hello", in: session).done["status"] == "completed")
        for _ in 0..<2 {
            let state = try await replica.client.get("/agent/sessions/\(session)")
            #expect(state.status == 200 && state.json["history_length"] == 3 && state.json["status"] == "idle", "\(state.text)")
        }
        let history = try await replica.client.get("/agent/sessions/\(session)/history?include_system=true")
        #expect(history.json["messages"].array.count == 3, "\(history.text)")
        #expect(try await replica.client.get("/agent/sessions").status == 200)
        #expect(try await replica.client.get("/agent/sessions/\(SessionID.unique().text)").code == "session_not_found")
        #expect(try await replica.stop() == 0)
        try await proxy.stop()
    }
}
