import NIOCore
import TestSupport
import Testing

@testable import RedisClient

/// Large replies use separate connections, and may take longer as long as bytes arrive.
@Suite("Lanes for large replies", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct RedisLaneTests {
    let redis: RedisServer
    let proxy: FaultyProxy

    init() async throws {
        redis = try await RedisServer.shared()
        proxy = try await FaultyProxy.start(to: redis)
    }

    private func value(of bytes: Int) throws -> String {
        let key = uniqueKey()
        try redis.cli("SETRANGE", key, "\(bytes - 1)", "x")
        return key
    }

    /// At 1 MB/s, 2 MB take four times the limit of silence.
    @Test("A reply may take longer than the silence limit while bytes arrive", arguments: [true, false])
    func aReplyMayTakeLongerThanSilenceMay(timesSilence: Bool) async throws {
        let key = try value(of: 2 << 20)
        let connection = try await RedisConnection.open(proxy.configuration) {
            $0.commandTimeout = .milliseconds(500)
            $0.timesSilence = timesSilence
        }.ready()
        defer { connection.shutDown() }
        proxy.slowDown(to: 1 << 20)
        // A command after the large one waits as long.
        let results = try await connection.send(pipeline: [RedisCommand("GET", key), RedisCommand("ECHO", "behind")])
        if timesSilence {
            #expect(try results.map { try $0.get().buffer?.readableBytes } == [2 << 20, 6])
            #expect(connection.generation == 1)
        } else {
            for result in results { #expect(throws: RedisError.self) { try result.get() } }
        }
        try await proxy.stop()
    }

    @Test("Silence still ends the connection")
    func silenceStillEndsTheConnection() async throws {
        let connection = try await RedisConnection.open(proxy.configuration) {
            $0.commandTimeout = .milliseconds(300)
            $0.timesSilence = true
        }.ready()
        defer { connection.shutDown() }
        // Idle time before a command does not count as silence. Silence after a part of a reply
        // does.
        #expect(try await connection.echo("before") == "before")
        try await Task.sleep(for: .milliseconds(400))
        #expect(try await connection.echo("after") == "after")
        proxy.inject(.answer("$100\r\nhalf of it"), on: "LLEN")
        let begun = ContinuousClock.now
        #expect(try await connection.failure("LLEN", "none").code == .timeout)
        #expect(ContinuousClock.now - begun >= .milliseconds(290))
        try await eventually("the connection is made again") { connection.generation == 2 }
        try await proxy.stop()
    }

    /// A server that sends a few bytes now and then is not better than a silent one.
    @Test("A reply that trickles in has a time limit as well")
    func aReplyThatTricklesInHasABoundAsWell() async throws {
        let key = try value(of: 1 << 20)
        let connection = try await RedisConnection.open(proxy.configuration) {
            $0.commandTimeout = .milliseconds(100)
            $0.timesSilence = true
        }.ready()
        defer { connection.shutDown() }
        // One part of 16 KiB every 80 ms takes 5 s in all.
        proxy.slowDown(to: 200 << 10)
        let begun = ContinuousClock.now
        #expect(try await connection.failure("GET", key).code == .timeout)
        #expect(ContinuousClock.now - begun < .milliseconds(4500))
        try await proxy.stop()
    }
}
