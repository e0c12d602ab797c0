import Foundation
import NIOPosix
import TestSupport
import Testing

@testable import RedisClient

/// The server runs, but refuses writes.
@Suite("A Redis that refuses writes", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct WriteRefusalTests {
    private func lines(_ logs: LogCollector, with words: String) -> Int {
        logs.text.split(separator: "\n").count { $0.contains("writes are refused") && $0.contains(words) }
    }

    /// Redis then refuses even `PING`. Clients can still read its data, also over new connections.
    @Test("A Redis that cannot write its disk is still connected to")
    func aRedisThatCannotWriteItsDiskIsConnectedTo() async throws {
        let redis = try await RedisServer.start()
        try redis.cli("SET", "k", "old")
        try await redis.failToSave()
        let logs = LogCollector()
        let client = RedisConnectionPool(
            configuration: redis.configuration, eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: logs.logger)
        #expect(await client.waitUntilReady(timeout: .seconds(20)))
        #expect(try await client.connection(for: "k").send(RedisCommand("GET", "k")).string == "old")
        for _ in 0..<3 { #expect(try await client.connection(for: "k").failure("SET", "k", "new").code == .writesRefused) }
        // The client restores a lost connection.
        let generation = client.generation
        try redis.cli("CLIENT", "KILL", "TYPE", "normal")
        try await eventually("it is connected again") { client.generation > generation && client.isReady }
        #expect(try await client.connection(for: "k").send(RedisCommand("GET", "k")).string == "old")
        // The client logs Redis's error once, for any number of connections.
        #expect(lines(logs, with: "MISCONF") == 1, "\(logs.text)")
        client.shutDown()
        try await redis.kill()
    }

    /// With a password, the handshake has more commands. A wrong password still ends the handshake.
    @Test("Other refusals still end the handshake")
    func whatElseTheHandshakeRefusesStillEndsIt() async throws {
        let redis = try await RedisServer.start()
        try await redis.failToSave()
        let stranger = RedisConnection.open(redis.configuration) { ($0.username, $0.password) = (AccessRules.user, "wr0ng") }
        #expect(try await stranger.failure("GET", "k").code == .connectionFailed)
        let known = RedisConnection.open(redis.restrictedConfiguration) { $0.database = 1 }
        try await eventually("the connection is ready") { known.isReady }
        #expect(!stranger.isReady)
        for connection in [stranger, known] { connection.shutDown() }
        try await redis.kill()
    }

    @Test("The reason is logged once a minute")
    func theReasonStandsInTheLogOnceAMinute() {
        let logs = LogCollector()
        let refusals = WriteRefusals(logger: logs.logger)
        let address = RedisConfiguration.Address.tcp(host: "h", port: 1)
        let begin = ContinuousClock.now
        func notice(_ text: String, after seconds: Int) {
            refusals.noticed(RedisError(reply: text), by: address, now: begin + .seconds(seconds))
        }
        for second in 0..<60 { notice("OOM command not allowed", after: second) }
        #expect(lines(logs, with: "OOM command not allowed") == 1)
        // For each reason, the interval of a minute is separate.
        notice("READONLY You can't write", after: 30)
        notice("OOM command not allowed", after: 60)
        #expect(lines(logs, with: "OOM") == 2)
        #expect(lines(logs, with: "READONLY") == 1)
    }

    // MARK: A server that turns replica

    /// After a failover, a name points to another server, while the old server still runs.
    @Test("All connections leave a server that becomes a replica")
    func aServerThatTurnsReplicaIsLeft() async throws {
        let (old, new, proxy) = try await servers()
        let logs = LogCollector()
        let client = RedisConnectionPool(
            configuration: proxy.configuration, eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: logs.logger)
        #expect(await client.waitUntilReady(timeout: .seconds(20)))
        #expect(try await client.connection(for: "k").send(RedisCommand("SET", "k", "v")).string == "OK")
        try new.cli("REPLICAOF", "NO", "ONE")
        try old.cli("REPLICAOF", "127.0.0.1", "\(new.port)")
        // The name still points to the old server. The client does not use this server, and logs
        // why.
        let refused = try await client.connection(for: "k").failure("SET", "k", "w")
        #expect(refused.code == .readOnly && !refused.mayHaveBeenApplied)
        try await eventually("the old one is left") { !client.isReady }
        #expect(lines(logs, with: "READONLY") == 1, "\(logs.text)")
        let none = try await client.connection(for: "k").failure("SET", "k", "w")
        #expect(none.code == .connectionFailed && none.message.contains("no master"))
        proxy.redirect(to: new)
        try await eventually("the new one is used") { client.isReady }
        #expect(try await client.connection(for: "k").send(RedisCommand("SET", "k", "w")).string == "OK")
        #expect(try new.cli("GET", "k") == "w")
        client.shutDown()
        try await proxy.stop()
        for server in [old, new] { try await server.kill() }
    }

    @Test("A replica that hides its role is used, and left at most once a second")
    func aReplicaThatDoesNotTellItsRoleIsConnectedTo() async throws {
        let (old, new, proxy) = try await servers()
        try old.cli("ACL", "SETUSER", AccessRules.user, "-role")
        let client = RedisConnectionPool(
            configuration: old.restrictedConfiguration, eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: .quiet)
        #expect(await client.waitUntilReady(timeout: .seconds(20)))
        try new.cli("REPLICAOF", "NO", "ONE")
        try old.cli("REPLICAOF", "127.0.0.1", "\(new.port)")
        func write() async throws -> RedisError.Code { try await client.connection(for: "k").failure("HSET", "agent:k", "f", "v").code }
        #expect(try await write() == .readOnly)
        try await eventually("it is connected to again") { try await write() == .readOnly && client.isReady }
        let generation = client.generation
        let begun = ContinuousClock.now
        for _ in 0..<20 { _ = try await write() }
        // At most the connections that were being opened reconnect, and not one for each refusal.
        #expect(client.generation - generation < 20 || ContinuousClock.now - begun > .milliseconds(500))
        client.shutDown()
        try await proxy.stop()
        for server in [old, new] { try await server.kill() }
    }

    private func servers() async throws -> (old: RedisServer, new: RedisServer, proxy: FaultyProxy) {
        let old = try await RedisServer.start(["--repl-diskless-sync-delay", "0"])
        let new = try await RedisServer.start(["--replicaof", "127.0.0.1", "\(old.port)"])
        try await eventually("the replica follows") { try new.cli("INFO", "replication").contains("master_link_status:up") }
        return (old, new, try await FaultyProxy.start(to: old))
    }
}

extension RedisServer {
    /// Makes Redis fail to save, so that it refuses writes (`-MISCONF`): a folder has the name of
    /// its file.
    func failToSave() async throws {
        try FileManager.default.createDirectory(at: directory.appending(path: "dump.rdb/x"), withIntermediateDirectories: true)
        try cli("CONFIG", "SET", "save", "3600 1000000")
        try cli("BGSAVE")
        try await eventually("Redis has failed to save") { try cli("INFO", "persistence").contains("rdb_last_bgsave_status:err") }
    }
}
