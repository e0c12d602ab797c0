import TestSupport
import Testing

@testable import RedisClient

/// If a caller cancels, the other callers still get their own replies.
@Suite("Cancelled commands", .tags(.redis), .serialized)
struct RedisCancellationTests {
    @Test("A cancellation at any moment never delivers another caller's reply", arguments: 0..<3)
    func cancellationAtRandomMomentsNeverGivesAnothersReply(seed: UInt64) async throws {
        let connection = try await RedisConnection.open(RedisServer.shared().configuration).ready()
        defer { connection.shutDown() }
        var random = SeededGenerator(seed: seed)
        var tasks: [(payload: String, task: Task<String?, any Error>)] = []
        for index in 0..<1_500 {
            let payload = "\(seed)-\(index)"
            tasks.append((payload, Task { try await connection.echo(payload) }))
            for _ in 0..<Int.random(in: 0...2, using: &random) {
                tasks[Int.random(in: max(0, index - 30)...index, using: &random)].task.cancel()
            }
            if Int.random(in: 0..<10, using: &random) == 0 { await Task.yield() }
        }
        let all = tasks
        let (own, cancelled) = try await within(.seconds(30), "every caller gets something, seed \(seed)") {
            var (own, cancelled) = (0, 0)
            for (payload, task) in all {
                do {
                    let reply = try await task.value
                    #expect(reply == payload, "seed \(seed)")
                    own += 1
                } catch let error as RedisError {
                    #expect(error.code == .cancelled, "seed \(seed): \(error)")
                    cancelled += 1
                }
            }
            return (own, cancelled)
        }
        #expect(own + cancelled == 1_500)
        #expect(own > 100 && cancelled > 100, "seed \(seed): \(own) answered, \(cancelled) cancelled")
        #expect(try await connection.echo("last") == "last")
        #expect(connection.generation == 1)
    }

    /// The same without randomness: all commands are sent, every second caller cancels, and then
    /// the replies arrive.
    @Test("Remaining callers get their own replies when others cancel after sending")
    func thoseWhoStayGetTheirOwnRepliesWhenOthersLeaveAfterSending() async throws {
        let proxy = try await FaultyProxy.start(to: RedisServer.shared())
        let connection = try await RedisConnection.open(proxy.configuration).ready()
        defer { connection.shutDown() }
        proxy.holdReplies()
        let tasks = (0..<200).map { index in Task { try await connection.echo("\(index)") } }
        try await eventually("all replies are held") { proxy.heldReplies == 200 }
        for index in stride(from: 0, to: 200, by: 2) { tasks[index].cancel() }
        for index in stride(from: 0, to: 200, by: 2) {
            // A cancelled caller does not wait for the reply.
            let error = await #expect(throws: RedisError.self) { try await tasks[index].value }
            #expect(error?.code == .cancelled)
            #expect(error?.mayHaveBeenApplied == true)
        }
        try await proxy.releaseReplies()
        for index in stride(from: 1, to: 200, by: 2) { #expect(try await tasks[index].value == "\(index)") }
        #expect(try await connection.echo("last") == "last")
        #expect(connection.generation == 1)
        try await proxy.stop()
    }

    @Test("A caller cancelled before its call sends nothing")
    func aCallerThatWasCancelledBeforeItCalledSendsNothing() async throws {
        let redis = try await RedisServer.shared()
        let connection = try await RedisConnection.open(redis.configuration).ready()
        defer { connection.shutDown() }
        let key = uniqueKey()
        let gate = AsyncStream<Void>.makeStream()
        let task = Task {
            for await _ in gate.stream {}
            return try await connection.send(RedisCommand("SET", key, "v"))
        }
        task.cancel()
        gate.continuation.finish()
        let error = await #expect(throws: RedisError.self) { try await task.value }
        #expect(error?.code == .cancelled)
        #expect(error?.mayHaveBeenApplied == false)
        _ = try await connection.echo("last")
        #expect(try redis.cli("EXISTS", key) == "0")
    }

    @Test("A caller cancelled before the connection exists sends nothing")
    func aCallerThatLeavesBeforeThereIsAConnectionSendsNothing() async throws {
        let redis = try await RedisServer.shared()
        let proxy = try await FaultyProxy.start(to: redis)
        proxy.inject(.holdReply, on: "PING")
        let connection = RedisConnection.open(proxy.configuration)
        defer { connection.shutDown() }
        let key = uniqueKey()
        let task = Task { try await connection.send(RedisCommand("SET", key, "v")) }
        let stays = Task { try await connection.echo("stays") }
        try await eventually("the handshake is held") { proxy.heldReplies == 1 }
        task.cancel()
        _ = await task.result
        try await proxy.releaseReplies()
        #expect(try await stays.value == "stays")
        _ = try await connection.echo("last")
        #expect(try redis.cli("EXISTS", key) == "0")
        try await proxy.stop()
    }

    @Test("A cancelled pipeline throws")
    func aPipelineThatIsCancelledThrows() async throws {
        let proxy = try await FaultyProxy.start(to: RedisServer.shared())
        let connection = try await RedisConnection.open(proxy.configuration).ready()
        defer { connection.shutDown() }
        proxy.holdReplies()
        let task = Task { try await connection.send(pipeline: (0..<5).map { RedisCommand("ECHO", "\($0)") }) }
        try await eventually("its replies are held") { proxy.heldReplies == 5 }
        task.cancel()
        let error = await #expect(throws: RedisError.self) { _ = try await task.value }
        #expect(error?.code == .cancelled)
        try await proxy.releaseReplies()
        #expect(try await connection.echo("last") == "last")
        try await proxy.stop()
    }
}
