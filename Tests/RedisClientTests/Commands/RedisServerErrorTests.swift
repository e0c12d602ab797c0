import TestSupport
import Testing

@testable import RedisClient

@Suite("Errors of real servers", .tags(.redis), .serialized)
struct RedisServerErrorTests {
    @Test("A full server refuses commands and scripts with OOM")
    func aFullServerSaysOutOfMemoryToCommandsAndScripts() async throws {
        let redis = try await RedisServer.start(["--maxmemory-policy", "noeviction"])
        let connection = try await RedisConnection.open(redis.configuration).ready()
        defer { connection.shutDown() }
        let script = RedisScript(name: "write", source: Array("return redis.call('SET', KEYS[1], ARGV[1])".utf8))
        let large = String(repeating: "x", count: 100_000)
        _ = try await connection.send(pipeline: (0..<20).map { RedisCommand("SET", "fill:\($0)", large) })
        try redis.cli("CONFIG", "SET", "maxmemory", "1mb")
        var call = RedisScriptCall(script, keys: ["k"])
        call.append("v")
        let plain = try await connection.failure("SET", "k", "v")
        #expect(plain.code == .outOfMemory && !plain.mayHaveBeenApplied)
        let scripted = await #expect(throws: RedisError.self) { try await connection.evaluate(call) }
        #expect(scripted?.code == .outOfMemory && scripted?.mayHaveBeenApplied == false)
        #expect(try redis.cli("EXISTS", "k") == "0")
        // Reads still work.
        #expect(try await connection.send(RedisCommand("GET", "k")).isNull)
        try await redis.kill()
    }

    @Test("A replica is read-only and reports a lost master")
    func aReplicaIsReadOnlyAndSaysWhenItsMasterIsDown() async throws {
        let master = try await RedisServer.start()
        let replica = try await RedisServer.start(["--replicaof", "127.0.0.1", "\(master.port)", "--replica-serve-stale-data", "no"])
        try await eventually("the replica follows") { try replica.cli("INFO", "replication").contains("master_link_status:up") }
        let connection = try await RedisConnection.open(replica.configuration).ready()
        defer { connection.shutDown() }
        #expect(try await connection.failure("SET", "k", "v").code == .readOnly)
        #expect(try await connection.failure("EVAL", "return redis.call('SET', KEYS[1], 'v')", "1", "k").code == .readOnly)
        #expect(try await connection.send(RedisCommand("GET", "k")).isNull)
        try await master.kill()
        try await eventually("the replica is without its master") {
            if case .failure(let error)? = try await connection.send(pipeline: [RedisCommand("GET", "k")]).first {
                error.code == .masterDown
            } else {
                false
            }
        }
        try await replica.kill()
    }

    @Test("A master without enough replicas refuses writes")
    func aMasterWithoutEnoughReplicasRefusesToWrite() async throws {
        let redis = try await RedisServer.start(["--min-replicas-to-write", "1"])
        let connection = try await RedisConnection.open(redis.configuration).ready()
        defer { connection.shutDown() }
        #expect(try await connection.failure("SET", "k", "v").code == .noReplicas)
        try await redis.kill()
    }

    @Test("A cluster redirects and reports when it is down")
    func aClusterRedirectsAndSaysWhenItIsDown() async throws {
        func node() async throws -> RedisServer {
            try await RedisServer.start([
                "--cluster-enabled", "yes", "--cluster-port", "\(freePort())", "--cluster-require-full-coverage", "no",
            ])
        }
        let (one, two) = (try await node(), try await node())
        let connection = try await RedisConnection.open(one.configuration).ready()
        defer { connection.shutDown() }
        #expect(try await connection.failure("GET", "k").code == .clusterDown)
        try one.cli("CLUSTER", "ADDSLOTSRANGE", "0", "8191")
        try two.cli("CLUSTER", "ADDSLOTSRANGE", "8192", "16383")
        let port = try two.cli("CONFIG", "GET", "cluster-port").split(separator: "\n").last.map(String.init) ?? ""
        try one.cli("CLUSTER", "MEET", "127.0.0.1", "\(two.port)", port)
        try await eventually("the nodes know each other") {
            try one.cli("CLUSTER", "SLOTS").contains("\(two.port)") && one.cli("CLUSTER", "INFO").contains("cluster_state:ok")
        }
        // "a" belongs to slot 15495, "b" to slot 3300.
        #expect(try await connection.failure("GET", "a").code == .moved(slot: 15495, host: "127.0.0.1", port: two.port))
        #expect(try await connection.failure("MGET", "a", "b").code == .reply("CROSSSLOT"))
        #expect(try await connection.send(RedisCommand("SET", "b", "v")).string == "OK")
        let target = try two.cli("CLUSTER", "MYID")
        try one.cli("CLUSTER", "SETSLOT", "3300", "MIGRATING", target)
        #expect(try await connection.send(RedisCommand("GET", "b")).string == "v")
        #expect(try await connection.failure("GET", "{b}2").code == .ask(slot: 3300, host: "127.0.0.1", port: two.port))
        #expect(try await connection.failure("MGET", "b", "{b}2").code == .tryAgain)
        try await one.kill()
        try await two.kill()
    }

    @Test("A forgotten script is sent again")
    func aScriptThatTheServerHasForgottenIsSentAgain() async throws {
        let redis = try await RedisServer.start()
        let connection = try await RedisConnection.open(redis.configuration).ready()
        defer { connection.shutDown() }
        let call = RedisScriptCall(RedisScript(name: "count", source: Array("return redis.call('INCR', KEYS[1])".utf8)), keys: ["n"])
        for round in 0..<3 {
            try redis.cli("SCRIPT", "FLUSH")
            #expect(try await connection.failure("EVALSHA", call.script.sha, "1", "n").code == .noScript)
            let outcomes = Outcomes(1)
            if round == 1 {
                connection.submitEvaluate(call, completion: outcomes.callback(0))
                try await eventually("the callback is called") { outcomes.count == 1 }
                #expect(outcomes.replies.map(\.integer) == [Int64(round * 3 + 1)])
            } else {
                let after = RedisCommand("GET", "n")
                let replies = try await connection.evaluate(call, preceding: [RedisCommand("INCR", "before")], following: [after])
                #expect(try replies.map { try $0.get().integerValue } == [Int64(round * 3 + 1), Int64(round * 3 + 1)])
            }
            // After the first call, the SHA suffices: only the first call sent the source.
            #expect(try redis.cli("SCRIPT", "EXISTS", call.script.sha) == "1")
            try redis.cli("CONFIG", "RESETSTAT")
            #expect(try await connection.evaluate(call).integer == Int64(round * 3 + 2))
            connection.submitEvaluate(call, completion: outcomes.callback(0))
            _ = try await connection.echo("after")
            let statistics = try redis.cli("INFO", "commandstats")
            #expect(statistics.contains("cmdstat_evalsha:calls=2,") && !statistics.contains("cmdstat_eval:"))
        }
        #expect(try redis.cli("GET", "before") == "2")
        try await redis.kill()
    }

    /// If a script runs for too long, the server replies `BUSY`.
    @Test("A server inside a long script is busy")
    func aServerThatIsInAScriptIsBusy() async throws {
        let redis = try await RedisServer.start(["--busy-reply-threshold", "10"])
        let connection = try await RedisConnection.open(redis.configuration).ready()
        let other = try await RedisConnection.open(redis.configuration).ready()
        defer {
            connection.shutDown()
            other.shutDown()
        }
        let outcomes = Outcomes(1)
        connection.submit(RedisCommand("EVAL", "while true do end", "0"), completion: outcomes.callback(0))
        try await eventually("the server is busy") {
            if case .failure(let error)? = try await other.send(pipeline: [RedisCommand("GET", "k")]).first {
                error.code == .busy
            } else {
                false
            }
        }
        _ = try await other.send(RedisCommand("SCRIPT", "KILL"))
        try await eventually("the script was ended") { outcomes.count == 1 }
        #expect(outcomes.errors.map(\.code) == [.reply("ERR")])
        try await redis.kill()
    }

    /// The server reads its file slowly. Open connections get `LOADING`, and new connections wait
    /// until the server is ready.
    @Test("A server that loads its file replies LOADING")
    func aServerThatReadsItsFileIsLoading() async throws {
        let redis = try await RedisServer.start(["--rdbcompression", "no", "--loading-process-events-interval-bytes", "1024"])
        let connection = try await RedisConnection.open(redis.configuration).ready()
        let reloading = try await RedisConnection.open(redis.configuration).ready()
        _ = try await connection.send(RedisCommand("EVAL", "for i = 1, 500 do redis.call('SET', i, string.rep('x', 2000)) end", "0"))
        try redis.cli("CONFIG", "SET", "key-load-delay", "20000")
        let outcomes = Outcomes(1)
        reloading.submit(RedisCommand("DEBUG", "RELOAD"), completion: outcomes.callback(0))
        try await eventually("the server is loading") {
            if case .failure(let error)? = try await connection.send(pipeline: [RedisCommand("GET", "1")]).first {
                error.code == .loading
            } else {
                false
            }
        }
        let newcomer = RedisConnection.open(redis.configuration)
        defer { for connection in [connection, reloading, newcomer] { connection.shutDown() } }
        #expect(try await newcomer.failure("GET", "1").code == .connectionFailed)
        #expect(!newcomer.isReady)
        try redis.cli("CONFIG", "SET", "key-load-delay", "0")
        try await eventually("the newcomer is served") { newcomer.isReady }
        #expect(try await newcomer.send(RedisCommand("STRLEN", "500")).integer == 2_000)
        try await redis.kill()
    }
}
