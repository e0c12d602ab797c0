import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// Sweepers find the steps of lost replicas by their hints (I6).
@Suite("Finding lost steps", .tags(.redis), .serialized)
struct OrphanTests {
    let redis: RedisServer
    let store: RedisSessionStore
    let session = SessionID.unique()
    var keys: RedisKeys { RedisKeys(session) }

    init() async throws {
        redis = try await RedisServer.start()
        store = try await redis.store(lease: .seconds(60)) { $0.outagePause = .zero }
    }

    private func orphans(limit: Int = 10) async throws -> (orphans: [Orphan], hasMore: Bool) {
        try await store.orphans(bucket: keys.bucket, limit: limit)
    }

    private func hint() throws -> String { try redis.cli("ZSCORE", keys.running, session.text) }

    private func setHint(_ due: Int64) throws { try redis.cli("ZADD", keys.running, "\(due)", session.text) }

    @Test("An empty bucket costs one command")
    func anEmptyBucketCostsOneCommand() async throws {
        _ = try await store.now()
        try redis.cli("CONFIG", "RESETSTAT")
        let found = try await orphans()
        #expect(found.orphans.isEmpty && !found.hasMore)
        let calls = try redis.cli("INFO", "commandstats")
        #expect(calls.matches(of: /:calls=/).count == 2, "one command beside the reset: \(calls)")
    }

    @Test("A step is an orphan once its lease has expired (I6)")
    func aStepIsAnOrphanOnceItsLeaseHasRunOut() async throws {
        _ = try await store.started(.user("hello", in: session))
        let hinted = try hint()
        // Sweepers find the session only when the hint is due.
        #expect(try await orphans().orphans.isEmpty && hint() == hinted)
        // The hint is due, and the step's owner lives: the sweeper moves the hint.
        try setHint(1)
        #expect(try await orphans().orphans.isEmpty)
        #expect(Int64(try hint()) == Int64(try redis.cli("HGET", keys.state, "lease_until")).map { $0 + 200 })
        try setHint(1)
        try redis.cli("HSET", keys.state, "lease_until", "1")
        #expect(try await orphans().orphans == [Orphan(session: session, step: 1)])
        // The hint remains until the step has an owner again.
        #expect(try hint() == "1")
        guard case .taken = try await store.takeOver(TakeOver(session: session, step: 1, reason: .lost)) else {
            Issue.record("not taken")
            return
        }
        try await eventually("the hint moves along") { try hint() != "1" }
        #expect(try await orphans().orphans.isEmpty)
    }

    /// A key of the wrong type, or a member that names no session, does not hide other hints.
    @Test("Damaged entries do not hide others")
    func whatIsDamagedDoesNotHideOthers() async throws {
        _ = try await store.started(.user("hello", in: session))
        try redis.cli("HSET", keys.state, "lease_until", "1")
        var damaged = SessionID.unique()
        while RedisKeys(damaged).bucket != keys.bucket { damaged = .unique() }
        try redis.cli("SET", RedisKeys(damaged).state, "x")
        try redis.cli("ZADD", keys.running, "1", session.text, "1", damaged.text, "1", "no session")
        #expect(try await orphans().orphans == [Orphan(session: session, step: 1)])
        try await eventually("it is removed") { try redis.cli("ZSCORE", keys.running, "no session").isEmpty }
        try await eventually("it is put off") { try redis.cli("ZSCORE", keys.running, damaged.text) != "1" }
        try await eventually("only the step is due") { try await orphans(limit: 1).orphans == [Orphan(session: session, step: 1)] }
    }

    /// The takeover writes nothing.
    @Test("A step with a damaged history is not taken over")
    func aDamagedHistoryIsNotTakenOver() async throws {
        _ = try await store.started(.user("hello", in: session))
        try redis.cli("HSET", keys.state, "lease_until", "1")
        try redis.cli("SET", keys.history, "x")
        let before = try redis.cli("HGETALL", keys.state)
        let error = await #expect(throws: StoreError.self) {
            try await store.takeOver(TakeOver(session: session, step: 1, reason: .lost))
        }
        #expect(error?.code == .damaged)
        #expect(try redis.cli("HGETALL", keys.state) == before)
    }

    @Test("A hint goes when nothing runs")
    func aHintGoesWhenNothingRuns() async throws {
        let lease = try await store.started(.user("hello", in: session))
        _ = try await store.commit(StepCommit(lease))
        // The sweeper does not remove a hint before it is due, because a step that is about to
        // begin may need it.
        _ = try await orphans()
        #expect(try !hint().isEmpty)
        try setHint(1)
        _ = try await orphans()
        #expect(try hint().isEmpty)
    }

    @Test("A released step is an orphan at once")
    func aReleasedStepIsAnOrphanAtOnce() async throws {
        let lease = try await store.started(.user("hello", in: session))
        #expect(try await store.release(lease) == .held)
        // Its lease would last for a minute.
        try await eventually("it is found") { try await orphans().orphans == [Orphan(session: session, step: 1)] }
    }

    @Test("One look is bounded")
    func aLookIsBounded() async throws {
        for place in 1...5 { try redis.cli("ZADD", keys.running, "\(place)", "s-\(place)") }
        #expect(try await orphans(limit: 2).hasMore)
        #expect(try redis.cli("ZCARD", keys.running) == "3")
        #expect(try await orphans(limit: 2).hasMore)
        #expect(try await !orphans(limit: 2).hasMore)
        #expect(try redis.cli("ZCARD", keys.running) == "0")
    }

    @Test("A step that cannot be taken is put off")
    func whatCannotBeTakenIsPutOff() async throws {
        try setHint(1)
        let now = try await store.now()
        store.postpone(session)
        try await eventually("it is put off") { try Int64(hint()) ?? 0 >= now + 60_000 }
    }

    /// A replica does not know whether Redis was away before its start.
    @Test("After an outage only released steps are taken")
    func afterAnOutageOnlyReleasedStepsAreTaken() async throws {
        let lease = try await store.started(.user("hello", in: session))
        let patient = try await redis.store(replica: "patient") { $0.outagePause = .seconds(60) }
        let takeOver = TakeOver(session: session, step: 1, reason: .lost)
        try redis.cli("HSET", keys.state, "lease_until", "1")
        guard case .tooEarly = try await patient.takeOver(takeOver) else {
            Issue.record("it was taken")
            return
        }
        #expect(try redis.cli("HGET", keys.state, "fence") == "1")
        _ = try await store.release(lease)
        guard case .taken(let taken) = try await patient.takeOver(takeOver) else {
            Issue.record("it was not taken")
            return
        }
        #expect(taken.action == .run && taken.started.lease.step == 2)
    }

    /// The clocks of a Cluster's nodes differ: a hint may be due by one node's clock and not by
    /// another's. After a poll without effect, the sweeper does not poll again at once.
    @Test("A page that led to nothing is the last")
    func aPageThatLedToNothingIsTheLast() async throws {
        let now = try await store.now()
        store.outage.heard(now + 100_000, from: .tcp(host: "ahead", port: 1), sent: .now)
        for place in 1...3 { try redis.cli("ZADD", keys.running, "\(now + 50_000 + Int64(place))", "s-\(place)") }
        let found = try await orphans(limit: 2)
        #expect(found.orphans.isEmpty && !found.hasMore)
        #expect(try redis.cli("ZCARD", keys.running) == "3")
    }
}
