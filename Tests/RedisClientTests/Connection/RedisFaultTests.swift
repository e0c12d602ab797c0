import TestSupport
import Testing

@testable import RedisClient

@Suite("Late, lost and truncated replies", .tags(.redis), .serialized)
struct RedisFaultTests {
    let redis: RedisServer
    let proxy: FaultyProxy

    init() async throws {
        redis = try await RedisServer.shared()
        proxy = try await FaultyProxy.start(to: redis)
    }

    func open(timeout: Duration = .seconds(30)) async throws -> RedisConnection {
        try await RedisConnection.open(proxy.configuration) { $0.commandTimeout = timeout }.ready()
    }

    @Test("A timeout closes the connection and fails all commands in flight")
    func aCommandThatTimesOutClosesTheConnectionAndFailsAllThatIsUnderWay() async throws {
        let connection = try await open(timeout: .milliseconds(300))
        defer { connection.shutDown() }
        proxy.inject(.swallowReply, on: "LLEN")
        let outcomes = Outcomes(11)
        connection.submit(RedisCommand("ECHO", "before"), completion: outcomes.callback(0))
        connection.submit(RedisCommand("LLEN", "none"), completion: outcomes.callback(1))
        for index in 2..<11 { connection.submit(RedisCommand("ECHO", "\(index)"), completion: outcomes.callback(index)) }
        let start = ContinuousClock.now
        try await eventually("all commands have ended", timeout: .seconds(10)) { outcomes.count == 11 }
        #expect(ContinuousClock.now - start >= .milliseconds(250))
        #expect(outcomes.replies.map(\.string) == ["before"])
        #expect(outcomes.errors.count == 10)
        #expect(outcomes.errors.allSatisfy { $0.code == .timeout && $0.mayHaveBeenApplied })
        #expect(outcomes.all.allSatisfy { $0.count == 1 })
        try await eventually("the connection is made again") { connection.isReady }
        #expect(connection.generation == 2)
        try await eventually("the old socket is closed") { proxy.connections == 1 }
        #expect(try await connection.patientEcho("after") == "after")
        try await proxy.stop()
    }

    @Test("A late reply never reaches the next command")
    func aLateReplyNeverMeetsTheNextCommand() async throws {
        let connection = try await open(timeout: .milliseconds(200))
        defer { connection.shutDown() }
        for round in 0..<5 {
            proxy.inject(.holdReply, on: "ECHO")
            #expect(try await connection.failure("ECHO", "late \(round)").code == .timeout)
            async let next = connection.patientEcho("next \(round)")
            try await proxy.releaseReplies()
            #expect(try await next == "next \(round)")
            #expect(connection.generation >= UInt64(round) + 2)
        }
        try await proxy.stop()
    }

    @Test("A lost reply leaves open whether the command was applied")
    func aLostReplyLeavesOpenWhetherTheCommandWasApplied() async throws {
        let connection = try await open()
        defer { connection.shutDown() }
        let key = uniqueKey()
        for (fault, isApplied) in [
            (FaultyProxy.Fault.loseRequest, false), (.loseReply, true), (.cutReply(after: 1), true), (.cutReply(after: 3), true),
        ] {
            _ = try redis.cli("DEL", key)
            proxy.inject(fault, on: "SET")
            let error = try await connection.failure("SET", key, "v")
            #expect(error.code == .connectionLost)
            #expect(error.mayHaveBeenApplied)
            #expect(try redis.cli("EXISTS", key) == (isApplied ? "1" : "0"), "\(fault)")
            try await eventually("the connection is made again") { connection.isReady }
        }
        #expect(connection.generation == 5)
        try await proxy.stop()
    }

    @Test("Bytes that are not a reply end the connection")
    func whatIsNoReplyEndsTheConnection() async throws {
        let connection = try await open()
        defer { connection.shutDown() }
        for garbage in ["HTTP/1.1 400 Bad Request\r\n\r\n", "%1\r\n+a\r\n+b\r\n", "$-5\r\n"] {
            proxy.inject(.answer(garbage), on: "LLEN")
            let results = try await connection.send(pipeline: [RedisCommand("LLEN", "none"), RedisCommand("ECHO", "x")])
            for result in results {
                let error = #expect(throws: RedisError.self) { try result.get() }
                #expect(error?.code == .protocolViolation)
                #expect(error?.mayHaveBeenApplied == true)
            }
            #expect(try await connection.echo("again") == "again")
        }
        #expect(connection.generation == 4)
        try await proxy.stop()
    }

    /// Redis replies twice to one command. Otherwise every later command would get the reply of the
    /// command before it.
    @Test("An unexpected reply ends the connection")
    func aReplyThatNobodyWaitsForEndsTheConnection() async throws {
        let connection = try await open()
        defer { connection.shutDown() }
        proxy.inject(.answer("+one\r\n+two\r\n"), on: "LLEN")
        #expect(try await connection.send(RedisCommand("LLEN", "none")).string == "one")
        try await eventually("the connection is made again") { connection.generation == 2 && connection.isReady }
        #expect(try await connection.echo("own") == "own")
        try await proxy.stop()
    }

    /// Each command's callback is called once. Redis executes each command at most once, and no
    /// command that was reported as not executed.
    @Test("Random cuts under load lose no callback and swap no replies", arguments: 0..<2)
    func cutsAtRandomMomentsLoseNoCallbackAndMixUpNoReplies(seed: UInt64) async throws {
        let connection = try await open()
        defer { connection.shutDown() }
        var random = SeededGenerator(seed: seed)
        let list = uniqueKey()
        let outcomes = Outcomes(3_000)
        for index in 0..<1_500 {
            connection.submit(RedisCommand("ECHO", "\(index)"), completion: outcomes.callback(index * 2))
            connection.submit(RedisCommand("RPUSH", list, "\(index)"), completion: outcomes.callback(index * 2 + 1))
            // Sometimes the caller waits, so that the first cut does not hit every command.
            if Int.random(in: 0..<30, using: &random) == 0 {
                _ = try await connection.send(pipeline: [RedisCommand("PING")])
                try await eventually("it connects again") { connection.isReady }
            }
            if Int.random(in: 0..<60, using: &random) == 0 { try await proxy.cut() }
        }
        try await eventually("every callback was called, seed \(seed)") { outcomes.count == 3_000 }
        try await eventually("it connects again") { connection.isReady }
        let pushed = try redis.lines("LRANGE", list, "0", "-1")
        let counts = Dictionary(pushed.map { ($0, 1) }, uniquingKeysWith: +)
        var (answered, failed) = (0, 0)
        for (index, results) in outcomes.all.enumerated() {
            func comment() -> Comment { "seed \(seed), command \(index)" }
            #expect(results.count == 1, comment())
            switch results.first {
            case .success(let reply):
                answered += 1
                if index % 2 == 0 {
                    #expect(reply.string == "\(index / 2)", comment())
                } else {
                    #expect(counts["\(index / 2)"] == 1, comment())
                }
            case .failure(let error):
                failed += 1
                #expect(error.code == .connectionLost || error.code == .connectionFailed, comment())
                if index % 2 == 1, !error.mayHaveBeenApplied { #expect(counts["\(index / 2)"] == nil, comment()) }
            case nil: break
            }
        }
        #expect(answered > 200 && failed > 0, "seed \(seed): \(answered) answered, \(failed) failed")
        #expect(counts.values.allSatisfy { $0 == 1 }, "seed \(seed)")
        try await proxy.stop()
    }
}
