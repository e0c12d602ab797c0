import RedisClient
import TestSupport
import Testing

@testable import SessionStore

@Suite("Scripts that Redis refuses", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct RefusedScriptTests {
    @Test("Scripts that Redis cannot compile are found")
    func scriptsThatCannotBeCompiledAreFound() async throws {
        let redis = try await RedisServer.start()
        let client = try await redis.client()
        #expect(try await client.refusedScripts().isEmpty)
        // None of the scripts has run.
        #expect(try redis.cli("DBSIZE") == "0")
        let proxy = try await FaultyProxy.start(to: redis)
        let words = "ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'"
        proxy.inject(.answer("-\(words)\r\n"), times: 100) { $0.first == "EVAL" }
        let other = try await proxy.configuration.client()
        let refused = try await other.refusedScripts()
        #expect(refused.map(\.script) == StoreScripts.all.map(\.name))
        #expect(refused.allSatisfy { $0.error.message.contains(words) })
        for client in [client, other] { client.shutDown() }
        try await proxy.stop()
        try await redis.kill()
    }
}
