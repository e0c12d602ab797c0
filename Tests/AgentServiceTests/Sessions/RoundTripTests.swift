import TestSupport
import Testing

@testable import AgentService
@testable import SessionStore

/// What a turn waits for at Redis.
@Suite(.timeLimit(.minutes(2))) struct RoundTripTests {
    /// One to begin and one to commit, and for a history that is not small its pages. What goes in the same write takes no trip of its own.
    @Test(arguments: [(0, 0), (10, 0), (100, 0), (1000, 4)]) func aTurnHasTwoBesideTheLog(count: Int, pages: Int) async throws {
        let redis = try await RedisServer.shared()
        let proxy = try await FaultyProxy.start(to: redis)
        let session = try await SessionInRedis(redis, through: proxy)
        if count > 0 {
            let messages = (0..<count).map { #"{"role":"user","content":"\#($0)"}"# }
            try redis.cli(["RPUSH", session.keys.history] + messages)
        }
        // The log is not written before the commit brings all of it.
        let turns = Turns(session, { $0.logInterval = .seconds(600) }, model: PlayedModel.saying("a", "b"))
        // So that Redis knows the scripts.
        _ = try await turns.say("hello").all()
        // Nobody waits for what is noted in the index and, at the end, in the sweeper's list.
        proxy.noteRoundTrips { words in
            ["PING", "CLIENT"].contains(words.first) || words.first == "ZREM" || words.dropFirst().first == RedisKeys(session.id).index
        }
        #expect(try await turns.say("again").all().done["status"] == "completed")
        #expect(turns.model.requests.last?.messages.count == (count == 0 ? 1 : 0) + count + 3)
        // The last of what comes before the commit says that the model is asked: what came with the begin was enough to say so.
        let reading = Array(repeating: "LRANGE", count: pages) + (pages > 0 ? ["EVALSHA"] : [])
        #expect(proxy.roundTrips.map(\.first) == ["ZADD"] + reading + ["EVALSHA"])
        try await proxy.stop()
    }
}
