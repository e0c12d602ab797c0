import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// Sweepers remove expired sessions from the index, even if no client lists them.
@Suite("Pruning the index", .tags(.redis), .serialized)
struct PruneTests {
    let redis: RedisServer
    let index = RedisKeyspace.standard.index(bucket: 3)

    init() async throws { redis = try await RedisServer.start() }

    private func session() -> SessionID {
        while true {
            let session = SessionID.unique()
            if RedisKeys(session).bucket == 3 { return session }
        }
    }

    private func count() throws -> Int { Int(try redis.cli("ZCARD", index)) ?? -1 }

    @Test("Expired sessions leave the index, and living ones stay")
    func whatHasExpiredGoesAndWhatLivesStays() async throws {
        let store = try await redis.store { $0.sessionTTL = .seconds(100) }
        let now = try await store.now()
        let living = [session(), session(), session()]
        for session in living { _ = try await store.started(.user("hello", in: session)) }
        await store.activity.flush()
        // The index entry of a session is old if its step runs longer than sessions last, or if the
        // session is damaged.
        try redis.cli("ZADD", index, "1", living[0].text, "2", living[1].text)
        try redis.cli("SET", RedisKeys(living[1]).history, "x")
        for start in stride(from: 0, to: 600, by: 200) {
            try redis.cli(["ZADD", index] + (start..<start + 200).flatMap { ["\(now - 100_000 - Int64($0))", session().text] })
        }
        let young = session()
        try redis.cli("ZADD", index, "\(now - 50_000)", young.text)
        try await store.prune(bucket: 3)
        #expect(try Set(redis.lines("ZRANGE", index, "0", "-1")) == Set((living + [young]).map(\.text)))
        store.client.shutDown()
    }

    @Test("Without an expiry nothing is checked")
    func withoutAnExpiryNothingIsLookedAt() async throws {
        let store = try await redis.store()
        try redis.cli("ZADD", index, "1", session().text)
        try await store.prune(bucket: 3)
        #expect(try count() == 1)
        // A message brings an age of its own.
        var begin = BeginStep.user("hello", in: .unique())
        begin.maximumAge = .seconds(100)
        _ = try await store.started(begin)
        await store.activity.flush()
        try await store.prune(bucket: 3)
        #expect(try redis.cli("ZCOUNT", index, "1", "1") == "0")
        store.client.shutDown()
    }
}
