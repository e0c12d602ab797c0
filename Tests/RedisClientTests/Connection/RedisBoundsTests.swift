import NIOCore
import TestSupport
import Testing

@testable import RedisClient

/// One connection limits its commands in flight.
@Suite("Bounds of one connection", .tags(.redis), .serialized)
struct RedisBoundsTests {
    @Test("Commands beyond the bound are refused and later accepted")
    func refusesMoreCommandsThanItsBoundAndTakesThemAgainLater() async throws {
        let proxy = try await FaultyProxy.start(to: RedisServer.shared())
        let connection = try await RedisConnection.open(proxy.configuration) { $0.maxInFlight = 10 }.ready()
        defer { connection.shutDown() }
        proxy.holdReplies()
        for round in 0..<3 {
            let outcomes = Outcomes(10)
            for index in 0..<10 { connection.submit(RedisCommand("ECHO", "\(round) \(index)"), completion: outcomes.callback(index)) }
            let error = try await within(.seconds(10), "the refusal does not wait") { try await connection.failure("ECHO", "too many") }
            #expect(error.code == .overloaded)
            #expect(!error.mayHaveBeenApplied)
            // The connection accepts a pipeline as a whole or not at all.
            let results = try await connection.send(pipeline: [RedisCommand("ECHO", "a"), RedisCommand("ECHO", "b")])
            #expect(results.count == 2)
            for result in results { #expect(throws: RedisError.self) { try result.get() } }
            #expect(outcomes.count == 0)
            try await proxy.releaseReplies()
            try await eventually("all that was accepted is answered") { outcomes.count == 10 }
            #expect(outcomes.all.map { $0.map { try? $0.get().string } } == (0..<10).map { ["\(round) \($0)"] })
            #expect(try await connection.echo("again") == "again")
            proxy.holdReplies()
        }
        try await proxy.stop()
    }

    @Test("Bytes beyond the bound are refused, but one command always passes")
    func refusesMoreBytesThanItsBoundButAlwaysTakesOneCommand() async throws {
        let proxy = try await FaultyProxy.start(to: RedisServer.shared())
        let connection = try await RedisConnection.open(proxy.configuration) { $0.maxInFlightBytes = 10_000 }.ready()
        defer { connection.shutDown() }
        let large = String(repeating: "x", count: 20_000)
        #expect(try await connection.echo(large) == large)
        proxy.holdReplies()
        let first = Task { try await connection.echo(large) }
        try await eventually("the large command is under way") { proxy.heldReplies > 0 }
        let error = try await connection.failure("ECHO", "small")
        #expect(error.code == .overloaded && !error.mayHaveBeenApplied)
        try await proxy.releaseReplies()
        #expect(try await first.value == large)
        #expect(try await connection.echo("small") == "small")
        try await proxy.stop()
    }

    @Test("Lost, timed-out and cancelled commands release their place")
    func lostTimedOutAndCancelledCommandsGiveTheirPlaceBack() async throws {
        let proxy = try await FaultyProxy.start(to: RedisServer.shared())
        let connection = try await RedisConnection.open(proxy.configuration) { configuration in
            configuration.maxInFlight = 4
            configuration.commandTimeout = .milliseconds(400)
        }.ready()
        defer { connection.shutDown() }
        for fault in [FaultyProxy.Fault.loseReply, .swallowReply, .loseRequest, .loseReply] {
            proxy.inject(fault, on: "LLEN")
            let results = try await connection.send(pipeline: (0..<4).map { _ in RedisCommand("LLEN", "none") })
            #expect(results.allSatisfy { if case .failure(let error) = $0 { error.code != .overloaded } else { false } }, "\(fault)")
            try await eventually("the connection is made again") { connection.isReady }
        }
        for _ in 0..<20 {
            let task = Task { try await connection.echo("cancelled") }
            task.cancel()
            _ = await task.result
        }
        // After the last reply, all four places are free again.
        try await eventually("four commands are accepted at once") {
            let results = try await connection.send(pipeline: (0..<4).map { RedisCommand("ECHO", "\($0)") })
            return results.compactMap { try? $0.get().string } == ["0", "1", "2", "3"]
        }
        try await proxy.stop()
    }

    /// The client never calls a callback within the call that passed it.
    @Test("Callbacks run later, on the connection's event loop")
    func callbacksComeOnTheEventLoop() async throws {
        let connection = try await RedisConnection.open(RedisServer.shared().configuration) { $0.maxInFlight = 1 }.ready()
        defer { connection.shutDown() }
        let outcomes = Outcomes(40)
        let places = Outcomes(40)
        try await connection.eventLoop.submit {
            for index in 0..<20 {
                connection.submit(RedisCommand("ECHO", "x"), completion: outcomes.callback(index))
                #expect(outcomes.count == 0)
            }
        }.get()
        for index in 20..<40 {
            let (one, other) = (outcomes.callback(index), places.callback(index))
            connection.submit(RedisCommand("ECHO", "x")) { result in
                if connection.eventLoop.inEventLoop { other(result) }
                one(result)
            }
        }
        try await eventually("every callback was called") { outcomes.count == 40 }
        #expect(places.count == 20)
        #expect(outcomes.all.allSatisfy { $0.count == 1 })
        #expect(outcomes.errors.allSatisfy { $0.code == .overloaded })
        #expect(!outcomes.replies.isEmpty && !outcomes.errors.isEmpty)
    }
}
