import Foundation
import LocalDeployment
import TestSupport
import Testing

@Suite("agent-server layout", .tags(.processes), .serialized, .timeLimit(.minutes(2)))
struct LayoutCommandTests {
    private func layout(_ redis: RedisServer, _ arguments: String...) async throws -> (code: Int32, log: String) {
        let process = try Replica.launch(redis: redis.url, arguments: ["layout"] + arguments)
        let code = try await process.ended()
        return (code, process.log)
    }

    @Test("The command raises the layout after the last replica of the old layout has gone")
    func theLayoutIsRaisedOnceNobodyNeedsTheFormerOne() async throws {
        let redis = try await RedisServer.start()
        try redis.cli("HSET", "agent:meta", "layout", "1")
        let now = try redis.lines("TIME").first ?? "0"
        try redis.cli("ZADD", "agent:replicas", "\(now)500", "old@0.0.9@1@abc")
        let refused = try await layout(redis, "raise", "2")
        #expect(refused.code == 69 && refused.log.contains("old (version 0.0.9, layout 1)"), "\(refused)")
        #expect(try redis.cli("HGET", "agent:meta", "layout") == "1")
        try redis.cli("DEL", "agent:replicas")
        let raised = try await layout(redis, "raise", "2")
        #expect(raised.code == 0 && raised.log.contains("layout 2"), "\(raised)")
        #expect(try redis.cli("HGET", "agent:meta", "layout") == "2")
        #expect(try await layout(redis, "raise", "1").code == 64)
        #expect(try await layout(redis, "raise", "4").code == 64)
        let replica = try await Replica.start(redis: redis.url, name: "one")
        try await eventually("it is listed") { try await layout(redis).log.contains("one  version") }
        #expect(try await replica.stop() == 0)
        try await eventually("it has left") { try await !layout(redis).log.contains("one  version") }
    }

    @Test("A server refuses to start on a later layout")
    func aServerRefusesToStartOnALaterLayout() async throws {
        let redis = try await RedisServer.start()
        try redis.cli("HSET", "agent:meta", "layout", "4")
        let process = try Replica.launch(redis: redis.url)
        #expect(try await process.ended() == 64)
        #expect(process.log.contains("layout 4"), "\(process.log)")
    }

    @Test("A private Redis gets the latest layout")
    func aPrivateRedisHasTheLatestLayout() async throws {
        let directory = try temporaryDirectory().appending(path: "data")
        let replica = try await Replica.start(redis: nil, environment: ["AGENT_RUNTIME__DATA_DIR": directory.path])
        #expect(try ChildProcess.output("redis-cli", ["-s", directory.path + "/redis.sock", "HGET", "agent:meta", "layout"]) == "3\n")
        #expect(try await replica.stop() == 0)
    }
}
