import NIOCore
import TestSupport
import Testing

@testable import RedisClient

/// The server replies without faults.
@Suite("One connection", .tags(.redis), .serialized)
struct RedisConnectionTests {
    @Test("Commands wait until the connection is ready")
    func commandsThatComeBeforeTheConnectionWaitForIt() async throws {
        let connection = RedisConnection.open(try await RedisServer.shared().configuration)
        defer { connection.shutDown() }
        // The connection is not ready: the event loop has not even begun to connect.
        let outcomes = Outcomes(1)
        connection.submit(RedisCommand("ECHO", "first"), completion: outcomes.callback(0))
        #expect(try await connection.echo("second") == "second")
        #expect(outcomes.replies.map(\.string) == ["first"])
        #expect(connection.generation == 1)
    }

    @Test("A connection uses either kind of socket and its database", arguments: ["unix", "tcp"])
    func reachesRedisOverEitherKindOfSocketAndInItsDatabase(kind: String) async throws {
        let redis = try await RedisServer.shared()
        let url = kind == "unix" ? "unix://\(redis.socket)?db=5" : redis.tcpURL + "/5"
        let connection = try await RedisConnection.open(RedisConfiguration(url: url)).ready()
        defer { connection.shutDown() }
        let key = uniqueKey()
        _ = try await connection.send(RedisCommand("SET", key, "v"))
        #expect(try redis.cli("-n", "5", "GET", key) == "v")
        #expect(try redis.cli("EXISTS", key) == "0")
        #expect(try await connection.send(RedisCommand("CLIENT", "GETNAME")).string == "tests")
    }

    /// Threads send commands at the same time, and each thread gets its own replies.
    @Test("Each caller's commands keep their order")
    func keepsTheOrderOfEachCallersCommands() async throws {
        let redis = try await RedisServer.shared()
        let connection = try await RedisConnection.open(redis.configuration).ready()
        defer { connection.shutDown() }
        let list = uniqueKey()
        let outcomes = try await within(.seconds(30), "all commands are answered") {
            await withTaskGroup(of: Void.self) { group in
                for writer in 0..<8 {
                    group.addTask {
                        for index in 0..<250 {
                            connection.submit(RedisCommand("RPUSH", "\(list):\(writer)", "\(index)")) { _ in }
                            if index % 50 == 0 { await Task.yield() }
                        }
                    }
                }
            }
            let outcomes = Outcomes(8)
            for writer in 0..<8 {
                connection.submit(RedisCommand("LRANGE", "\(list):\(writer)", "0", "-1"), completion: outcomes.callback(writer))
            }
            _ = try await connection.echo("done")
            return outcomes
        }
        #expect(outcomes.count == 8)
        for reply in outcomes.replies {
            var values: [String?] = []
            reply.forEachElement { values.append($0.string) }
            #expect(values == (0..<250).map { "\($0)" })
        }
    }

    @Test("A pipeline gives each command its result")
    func aPipelineGivesEachCommandItsResult() async throws {
        let connection = try await RedisConnection.open(RedisServer.shared().configuration).ready()
        defer { connection.shutDown() }
        let key = uniqueKey()
        let results = try await connection.send(pipeline: [
            RedisCommand("SET", key, "text"), RedisCommand("INCR", key), RedisCommand("GET", key), RedisCommand("NOSUCHCOMMAND"),
            RedisCommand("DEL", key),
        ])
        #expect(results.count == 5)
        #expect(try results[0].get().string == "OK")
        #expect(throws: RedisError.self) { try results[1].get() }
        #expect(try results[2].get().string == "text")
        let error = #expect(throws: RedisError.self) { try results[3].get() }
        #expect(error?.code == .reply("ERR"))
        #expect(error?.mayHaveBeenApplied == false)
        #expect(try results[4].get().integer == 1)
        #expect(try await connection.send(pipeline: []).isEmpty)
        let many = try await connection.send(pipeline: (0..<3_000).map { RedisCommand("ECHO", "\($0)") })
        #expect(try many.map { try $0.get().string } == (0..<3_000).map { "\($0)" })
    }

    @Test("Large binary values pass both ways")
    func carriesLargeBinaryValuesBothWays() async throws {
        let connection = try await RedisConnection.open(RedisServer.shared().configuration).ready()
        defer { connection.shutDown() }
        let key = uniqueKey()
        let value = ByteBuffer(bytes: (0..<(4 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 13) })
        var command = RedisCommand("SET", key)
        command.append(value)
        let results = try await connection.send(pipeline: [
            command, RedisCommand("GET", key), RedisCommand("STRLEN", key), RedisCommand("DEL", key),
        ])
        // `==` in `#expect` would print megabytes.
        #expect((try results[1].get().buffer == value) == true)
        #expect(try results[2].get().integer == 4 << 20)
    }

    @Test("A reply beyond the bound ends the connection, and a new one is made")
    func aReplyBeyondTheBoundEndsTheConnectionAndAnotherOneIsMade() async throws {
        let redis = try await RedisServer.shared()
        let connection = try await RedisConnection.open(redis.configuration) { $0.maxReplyBytes = 4_096 }.ready()
        defer { connection.shutDown() }
        let outcomes = Outcomes(2)
        connection.submit(RedisCommand("EVAL", "return string.rep('x', 100000)", "0"), completion: outcomes.callback(0))
        connection.submit(RedisCommand("ECHO", "after"), completion: outcomes.callback(1))
        try await eventually("both commands have ended") { outcomes.count == 2 }
        #expect(outcomes.errors.map(\.code) == [.protocolViolation, .protocolViolation])
        #expect(outcomes.errors.allSatisfy { $0.mayHaveBeenApplied })
        #expect(try await connection.echo("again") == "again")
        #expect(connection.generation == 2)
    }

    @Test("A shutdown fails commands in flight once, and later commands")
    func shuttingDownFailsWhatIsUnderWayOnceAndWhatComesLater() async throws {
        let proxy = try await FaultyProxy.start(to: RedisServer.shared())
        let connection = try await RedisConnection.open(proxy.configuration).ready()
        proxy.holdReplies()
        let outcomes = Outcomes(100)
        for index in 0..<50 { connection.submit(RedisCommand("ECHO", "\(index)"), completion: outcomes.callback(index)) }
        let sender = Task { try await connection.failure("ECHO", "task") }
        try await eventually("all replies are held") { proxy.heldReplies == 51 }
        connection.shutDown()
        for index in 50..<100 { connection.submit(RedisCommand("ECHO", "\(index)"), completion: outcomes.callback(index)) }
        try await eventually("every callback was called") { outcomes.count == 100 }
        #expect(try await within(.seconds(10), "the task ends") { try await sender.value }.code == .closed)
        try await proxy.releaseReplies()
        #expect(try await connection.failure("ECHO", "late").code == .closed)
        connection.shutDown()
        try await eventually("the socket is closed") { proxy.connections == 0 }
        #expect(outcomes.all.allSatisfy { $0.count == 1 })
        #expect(outcomes.errors.count == 100 && outcomes.errors.allSatisfy { $0.code == .closed })
        // Redis may have executed a command that was sent, but none that was not sent.
        #expect(outcomes.all.map { $0.map(\.mayHaveBeenApplied) } == (0..<100).map { [$0 < 50] })
        #expect(!connection.isReady)
        #expect(proxy.accepted == 1)
        try await proxy.stop()
    }

    @Test("A shutdown while connecting leaves nothing behind")
    func shutDownWhileItConnectsLeavesNothingBehind() async throws {
        let proxy = try await FaultyProxy.start(to: RedisServer.shared())
        proxy.inject(.holdReply, on: "PING")
        let connection = RedisConnection.open(proxy.configuration)
        let outcomes = Outcomes(1)
        connection.submit(RedisCommand("ECHO", "x"), completion: outcomes.callback(0))
        try await eventually("the handshake is held") { proxy.heldReplies == 1 }
        connection.shutDown()
        try await eventually("the command has ended") { outcomes.count == 1 }
        #expect(outcomes.errors.map(\.code) == [.closed])
        #expect(outcomes.errors.map(\.mayHaveBeenApplied) == [false])
        try await eventually("the socket is closed") { proxy.connections == 0 }
        #expect(proxy.accepted == 1)
        try await proxy.stop()
    }
}

extension Result<RedisReply, RedisError> {
    /// Whether the command failed although Redis may have executed it.
    var mayHaveBeenApplied: Bool { if case .failure(let error) = self { error.mayHaveBeenApplied } else { false } }
}
