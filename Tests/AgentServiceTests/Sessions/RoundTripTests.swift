import TestSupport
import Testing

@testable import AgentService
@testable import LanguageModels
@testable import SessionStore

@Suite("Round trips to Redis", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct RoundTripTests {
    /// One round trip begins the step, and one commits it. All other commands share a write, or no
    /// caller waits for them.
    @Test("A turn waits for two round trips, and for the pages of a large history", arguments: [(0, 0), (10, 0), (100, 0), (1000, 4)])
    func aTurnHasTwoBesideTheLog(count: Int, pages: Int) async throws {
        let redis = try await RedisServer.shared()
        let proxy = try await FaultyProxy.start(to: redis)
        let session = try await SessionInRedis(redis, through: proxy)
        if count > 0 {
            let messages = (0..<count).map { #"{"role":"user","content":"\#($0)"}"# }
            try redis.cli(["RPUSH", session.keys.history] + messages)
        }
        // No batch of the log is written before the commit, which contains the whole log.
        let turns = Turns(session, { $0.logInterval = .seconds(600) }, model: PlayedModel.saying("a", "b"))
        // The first turn loads the scripts into Redis.
        _ = try await turns.say("hello").all()
        // The turn does not wait for records of activity in the index, nor for the sweeper's hints
        // at its end.
        proxy.noteRoundTrips { words in
            ["PING", "CLIENT"].contains(words.first) || words.first == "ZREM" || words.dropFirst().first == RedisKeys(session.id).index
        }
        #expect(try await turns.say("again").all().done["status"] == "completed")
        #expect(turns.model.requests.last?.messages.count == (count == 0 ? 1 : 0) + count + 3)
        // Before the commit, one command records that the owner asks the model. For a small
        // history, `begin_step` records it.
        let reading = Array(repeating: "LRANGE", count: pages) + (pages > 0 ? ["EVALSHA"] : [])
        #expect(proxy.roundTrips.map(\.first) == ["ZADD"] + reading + ["EVALSHA"])
        try await proxy.stop()
    }
}
