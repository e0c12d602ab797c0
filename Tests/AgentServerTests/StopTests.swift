import Foundation
import TestSupport
import Testing

/// The process ends whether Redis runs, stalls or is down.
@Suite("SIGTERM and SIGINT", .tags(.processes), .serialized, .timeLimit(.minutes(2)))
struct StopTests {
    private static let drain = ["AGENT_RUNTIME__DRAIN_SECONDS": "2"]

    private func expectStop(_ process: ChildProcess, _ signal: Int32 = SIGTERM, _ location: SourceLocation = #_sourceLocation) async throws
    {
        let begun = ContinuousClock.now
        process.signal(signal)
        #expect(try await process.ended() == 0, "\(process.log)", sourceLocation: location)
        #expect(ContinuousClock.now - begun < .seconds(10), sourceLocation: location)
    }

    @Test("The process ends while Redis is down", arguments: [SIGTERM, SIGINT])
    func whileRedisIsAway(signal: Int32) async throws {
        let process = try Replica.launch(redis: "redis://127.0.0.1:\(try freePort())", environment: Self.drain)
        _ = try await process.line(/(http:\/\/127\.0\.0\.1:[0-9]+)/)
        try await expectStop(process, signal)
    }

    @Test("The process ends while Redis refuses its password")
    func whileRedisRefusesThePassword() async throws {
        let redis = try await RedisServer.shared()
        let process = try Replica.launch(redis: "redis://agent:wr0ng@127.0.0.1:\(redis.port)", environment: Self.drain)
        _ = try await process.line(/(http:\/\/127\.0\.0\.1:[0-9]+)/)
        try await expectStop(process)
    }

    @Test("The process ends while Redis hangs")
    func whileRedisHangs() async throws {
        let redis = try await RedisServer.start()
        let replica = try await Replica.start(redis: redis.url, environment: Self.drain)
        redis.process.signal(SIGSTOP)
        try await expectStop(replica.process)
        try await redis.kill()
    }

    /// After the first signal, a running step may finish. After the second signal, the process ends
    /// at once.
    @Test("A second signal ends the drain at once", arguments: [SIGTERM, SIGINT])
    func aSecondSignalEndsItAtOnce(signal: Int32) async throws {
        let gate = Gate()
        let upstream = try await Upstream.start { _ in UpstreamAnswer.text("one ", "two").inserting(.gate(gate), after: 2) }
        let replica = try await Replica.start(redis: RedisServer.shared().url, upstream: upstream.url)
        var open = try await replica.client.open(AgentClient.body(UUID().uuidString, ["content": "x"]))
        try await open.next { $0.data["token"].string == "one " }
        replica.process.signal(signal)
        try await eventually("it drains") { try await replica.client.get("/health/ready").code == "draining" }
        let begun = ContinuousClock.now
        replica.process.signal(signal)
        #expect(try await replica.process.ended() == 0)
        // The drain would take half a minute.
        #expect(ContinuousClock.now - begun < .seconds(10))
        #expect(replica.process.log.contains("stopping at once"))
        gate.open()
    }

    @Test("A second signal also ends the private Redis, which has saved acknowledged writes")
    func aSecondSignalEndsThePrivateRedis() async throws {
        let gate = Gate()
        let upstream = try await Upstream.start { _ in UpstreamAnswer.text("one ", "two").inserting(.gate(gate), after: 2) }
        let directory = try temporaryDirectory()
        let replica = try await Replica.start(redis: nil, upstream: upstream.url, directory: directory)
        var open = try await replica.client.open(AgentClient.body("s", ["content": "x"]))
        try await open.next { $0.data["token"].string == "one " }
        let socket = directory.path + "/.agent-runtime/redis.sock"
        #expect(try ChildProcess.output("redis-cli", ["-s", socket, "PING"]).contains("PONG"))
        replica.process.signal(SIGTERM)
        try await eventually("it drains") { try await replica.client.get("/health/ready").code == "draining" }
        replica.process.signal(SIGTERM)
        #expect(try await replica.process.ended() == 0)
        try await eventually("Redis is gone") { !FileManager.default.fileExists(atPath: socket) }
        gate.open()
    }
}
