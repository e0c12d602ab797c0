import Foundation
import NIOPosix
import TestSupport
import Testing

@testable import RedisClient

@Suite("Reconnecting", .tags(.redis), .serialized)
struct RedisReconnectTests {
    @Test("The client reconnects after the server was killed and restarted")
    func comesBackAfterTheServerWasKilledAndStartedAgain() async throws {
        let redis = try await RedisServer.start()
        let connection = try await RedisConnection.open(redis.configuration).ready()
        defer { connection.shutDown() }
        #expect(try await connection.echo("before") == "before")
        try await redis.kill()
        try await eventually("the loss is noticed") { !connection.isReady }
        // While Redis is down, the client refuses commands at once.
        for _ in 0..<5 {
            let error = try await within(.seconds(10), "a refusal") { try await connection.failure("ECHO", "away") }
            #expect(error.code == .connectionFailed)
            #expect(!error.mayHaveBeenApplied)
        }
        #expect(connection.generation == 1)
        let again = try await RedisServer.start(directory: redis.directory, port: redis.port)
        try await eventually("it connects again") { connection.isReady }
        #expect(try await connection.echo("after") == "after")
        #expect(connection.generation == 2)
        try await again.kill()
    }

    @Test("A refused connection fails at once", arguments: [true, false])
    func aRefusedConnectionFailsAtOnce(isSocket: Bool) async throws {
        let configuration =
            if isSocket {
                RedisConfiguration(.unix(path: try temporaryDirectory().path + "/none.sock"))
            } else {
                RedisConfiguration(.tcp(host: "127.0.0.1", port: try freePort()))
            }
        let connection = RedisConnection.open(configuration)
        defer { connection.shutDown() }
        let error = try await within(.seconds(10), "the command's failure, long before its timeout") {
            try await connection.failure("PING")
        }
        #expect(error.code == .connectionFailed)
        #expect(!error.mayHaveBeenApplied)
        #expect(error.message.contains("\(configuration)"))
        #expect(!connection.isReady && connection.generation == 0)
    }

    /// After most losses, the first attempt to reconnect succeeds.
    @Test("Commands wait for the first attempt after a loss", arguments: [true, false])
    func commandsWaitForTheFirstAttemptAfterALoss(succeeds: Bool) async throws {
        let proxy = try await FaultyProxy.start(to: RedisServer.shared())
        let connection = try await RedisConnection.open(proxy.configuration).ready()
        defer { connection.shutDown() }
        proxy.inject(.holdReply, on: "PING")
        try await proxy.cut()
        try await eventually("the handshake of the second connection is held") { proxy.heldReplies == 1 }
        #expect(!connection.isReady)
        let outcomes = Outcomes(50)
        for index in 0..<50 { connection.submit(RedisCommand("ECHO", "\(index)"), completion: outcomes.callback(index)) }
        #expect(outcomes.count == 0)
        if succeeds { try await proxy.releaseReplies() } else { try await proxy.cut() }
        try await eventually("all commands have ended") { outcomes.count == 50 }
        if succeeds {
            #expect(outcomes.all.map { $0.map { try? $0.get().string } } == (0..<50).map { ["\($0)"] })
            #expect(connection.generation == 2)
        } else {
            #expect(outcomes.errors.count == 50)
            #expect(outcomes.errors.allSatisfy { $0.code == .connectionFailed && !$0.mayHaveBeenApplied })
        }
        try await eventually("it connects again") { connection.isReady }
        #expect(try await connection.echo("after") == "after")
        try await proxy.stop()
    }

    /// The server accepts the connection and sends nothing. The handshake's deadline is independent
    /// of the command's.
    @Test("A handshake without a reply ends by the connect timeout")
    func aHandshakeWithoutAnAnswerEndsByTheConnectTimeout() async throws {
        let proxy = try await FaultyProxy.start(to: RedisServer.shared())
        proxy.inject(.swallowReply, on: "PING", times: .max)
        let connection = RedisConnection.open(proxy.configuration) { $0.connectTimeout = .milliseconds(200) }
        defer { connection.shutDown() }
        let error = try await within(.seconds(10), "the command's failure, long before its timeout") {
            try await connection.failure("ECHO", "first")
        }
        #expect(error.code == .connectionFailed)
        #expect(!error.mayHaveBeenApplied)
        #expect(!connection.isReady)
        proxy.clearFaults()
        try await eventually("a later attempt succeeds") { connection.isReady }
        try await proxy.stop()
    }

    @Test("A command that waits for a connection times out")
    func aCommandThatWaitsForAConnectionTimesOut() async throws {
        let proxy = try await FaultyProxy.start(to: RedisServer.shared())
        proxy.inject(.holdReply, on: "PING")
        let connection = RedisConnection.open(proxy.configuration) { $0.commandTimeout = .milliseconds(150) }
        defer { connection.shutDown() }
        let error = try await connection.failure("ECHO", "waits")
        #expect(error.code == .timeout)
        #expect(!error.mayHaveBeenApplied)
        try await proxy.releaseReplies()
        try await eventually("the connection is ready") { connection.isReady }
        #expect(proxy.accepted == 1)
        try await proxy.stop()
    }

    /// `-LOADING` is a reply to the handshake, and the client keeps the connection.
    @Test("A loading server is retried until it serves")
    func aServerThatIsLoadingIsTriedUntilItServes() async throws {
        let proxy = try await FaultyProxy.start(to: RedisServer.shared())
        proxy.inject(.answer("-LOADING Redis is loading the dataset in memory\r\n"), on: "PING", times: 5)
        let connection = RedisConnection.open(proxy.configuration)
        defer { connection.shutDown() }
        let error = try await connection.failure("ECHO", "first")
        #expect(error.code == .connectionFailed && !error.mayHaveBeenApplied)
        #expect(error.message.contains("LOADING"))
        try await eventually("the connection is ready") { connection.isReady }
        #expect(proxy.accepted == 6)
        #expect(connection.generation == 1)
        try await proxy.stop()
    }

    /// Redis has moved to another server at the same address.
    @Test("The generation changes when Redis may be another server")
    func theGenerationTellsThatRedisMayBeAnother() async throws {
        let other = try await RedisServer.start()
        let proxy = try await FaultyProxy.start(to: RedisServer.shared())
        let connection = try await RedisConnection.open(proxy.configuration).ready()
        defer { connection.shutDown() }
        #expect(connection.generation == 1)
        proxy.redirect(to: other)
        #expect(connection.generation == 1)
        try await proxy.cut()
        try await eventually("it connects again") { connection.generation == 2 && connection.isReady }
        let info = try await connection.send(RedisCommand("INFO", "server")).string ?? ""
        #expect(info.contains("tcp_port:\(other.port)\r\n"))
        try await other.kill()
        try await proxy.stop()
    }

    @Test("A client is ready with its first connection and shuts all down")
    func aClientIsReadyWhenAnyConnectionIsAndShutsAllDown() async throws {
        let redis = try await RedisServer.start()
        let client = RedisConnectionPool(
            configuration: redis.configuration, eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: .quiet)
        #expect(await client.waitUntilReady(timeout: .seconds(20)))
        #expect(try await client.connection(for: "k").send(RedisCommand("PING")).string == "PONG")
        client.shutDown()
        try await eventually("no connection is left") { try redis.cli("CLIENT", "LIST").split(separator: "\n").count == 1 }
        #expect(!client.isReady)
        #expect(await !client.waitUntilReady(timeout: .milliseconds(20)))
        try await redis.kill()
    }
}
