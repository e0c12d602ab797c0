import RedisClient
import TestSupport
import Testing

@testable import SessionStore

@Suite("Recording activity", .tags(.redis), .serialized)
struct ActivityRecorderTests {
    private func indexed(_ redis: RedisServer) throws -> Int {
        try (0..<RedisKeyspace.bucketCount).reduce(0) { try $0 + (Int(redis.cli("ZCARD", RedisKeyspace.standard.index(bucket: $1))) ?? 0) }
    }

    @Test("Notes that come together are one command per bucket")
    func notesThatComeTogetherAreOneCommandForEachBucket() async throws {
        let redis = try await RedisServer.start()
        let store = try await redis.store()
        for number in 0..<500 { store.activity.note(.unique(), of: "", at: 1_700_000_000_000 + Int64(number)) }
        try await eventually("all are noted") { try indexed(redis) == 500 }
        let calls = try #require(try redis.cli("INFO", "commandstats").firstMatch(of: /cmdstat_zadd:calls=([0-9]+)/)).output.1
        // The store sends one command per bucket, and some more if the interval ended in between.
        #expect(try #require(Int(calls)) <= 4 * RedisKeyspace.bucketCount)
        store.client.shutDown()
        try await redis.kill()
    }

    @Test("Notes beyond the bound do not wait")
    func moreThanTheBoundDoNotWait() async throws {
        let redis = try await RedisServer.start()
        let store = try await redis.store()
        for number in 0..<5 * ActivityRecorder.limit { store.activity.note(.unique(), of: "", at: 1_700_000_000_000 + Int64(number)) }
        try await eventually("all are noted") { try indexed(redis) == 5 * ActivityRecorder.limit }
        store.client.shutDown()
        try await redis.kill()
    }

    @Test("Notes that could not be written are kept", arguments: [true, false])
    func whatCouldNotBeWrittenIsKept(flushes: Bool) async throws {
        let redis = try await RedisServer.start()
        let store = try await redis.store()
        try redis.cli("CONFIG", "SET", "min-replicas-to-write", "1")
        let session = SessionID.unique()
        store.activity.note(session, of: "", at: 1_700_000_000_007)
        if flushes { await store.activity.flush() }
        try await eventually("they are refused") { try redis.cli("INFO", "errorstats").contains("NOREPLICAS") }
        store.activity.note(.unique(), of: "", at: 1_700_000_000_008)
        try redis.cli("CONFIG", "SET", "min-replicas-to-write", "0")
        try await eventually("both are noted") { try indexed(redis) == 2 }
        #expect(try redis.cli("ZSCORE", RedisKeys(session).index, session.text) == "1700000000007")
        store.client.shutDown()
        try await redis.kill()
    }

    @Test("A list includes pending notes, and an older note changes nothing")
    func whoListsSeesItsOwnAndAnOlderNoteTakesNothingBack() async throws {
        let redis = try await RedisServer.shared()
        let store = try await redis.store()
        let (session, gone) = (SessionID.unique(), SessionID.unique())
        store.activity.note(session, of: "", at: 1_700_000_000_007)
        store.activity.note(gone, of: "", at: 1_700_000_000_007)
        store.activity.forget(gone)
        await store.activity.flush()
        #expect(try redis.cli("ZSCORE", RedisKeys(session).index, session.text) == "1700000000007")
        #expect(try redis.cli("ZSCORE", RedisKeys(gone).index, gone.text) == "")
        store.activity.note(session, of: "", at: 1_700_000_000_001)
        await store.activity.flush()
        #expect(try redis.cli("ZSCORE", RedisKeys(session).index, session.text) == "1700000000007")
        store.client.shutDown()
    }
}
