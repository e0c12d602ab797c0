import TestSupport
import Testing

@testable import RedisClient
@testable import SessionStore

@Suite("Script digests", .tags(.redis), .serialized)
struct ScriptHashTests {
    /// EVALSHA finds a script only by the same digest that Redis computes.
    @Test("The digests equal those of Redis")
    func theDigestsAreThoseOfRedis() async throws {
        let connection = try await RedisServer.shared().client().connection(for: "")
        for script in StoreScripts.all {
            var command = RedisCommand("SCRIPT", "LOAD")
            command.append(script.source)
            #expect(try await connection.send(command).string == script.sha, "\(script.name)")
        }
    }

    @Test("Every script is listed once")
    func everyScriptIsListedOnce() {
        #expect(
            StoreScripts.all.map(\.name).sorted() == [
                "admit", "append_events", "begin_step", "claim_place", "commit_step", "delete_session", "forget_entries", "log_events",
                "read_state", "release_step", "rewind", "settle", "take_over",
            ])
        #expect(Set(StoreScripts.all.map(\.sha)).count == StoreScripts.all.count)
    }
}
