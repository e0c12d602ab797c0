import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// Redis's clock was set back. Hints and leases of the earlier clock are in the future.
@Suite("Hints after the clock was set back", .tags(.redis), .serialized)
struct FarHintTests {
    static let lease = Duration.seconds(1)
    let redis: RedisServer
    let store: RedisSessionStore
    let session = SessionID.unique()
    var keys: RedisKeys { RedisKeys(session) }

    init() async throws {
        redis = try await RedisServer.start()
        store = try await redis.store(lease: Self.lease) { $0.outagePause = .zero }
    }

    private func hint() throws -> Int64 { try #require(Int64(try redis.cli("ZSCORE", keys.running, session.text))) }

    private func setHint(_ due: Int64) throws { try redis.cli("ZADD", keys.running, "\(due)", session.text) }

    private func farOrphans() async throws -> [Orphan] { try await store.farOrphans(bucket: keys.bucket) }

    /// Moves the hints, as if Redis's clock had been `milliseconds` ahead until now.
    private func setBack(by milliseconds: Int64) async throws {
        let now = try await store.now()
        let node = store.client.location(of: keys.prefix).node
        store.outage.heard(now + milliseconds, from: node, sent: .now)
        store.outage.heard(now, from: node, sent: .now)
    }

    /// The owner has renewed its lease since, or is lost. Sweepers check both cases in time.
    @Test("A running step's hint is brought forward (I6)")
    func aRunningStepsHintIsBroughtForward() async throws {
        _ = try await store.started(.user("hello", in: session))
        let now = try await store.now()
        try setHint(now + 30_000)
        #expect(try await farOrphans().isEmpty)
        // The hint is not earlier than a step that is about to begin could need.
        #expect(try (now + 1200...now + 2200).contains(hint()))
        try redis.cli("HSET", keys.state, "lease_until", "1")
        try setHint(now + 30_000)
        #expect(try await farOrphans() == [Orphan(session: session, step: 1)])
    }

    @Test("An idle session's hint is brought forward")
    func anIdleSessionsHintIsBroughtForward() async throws {
        let lease = try await store.started(.user("hello", in: session))
        _ = try await store.commit(StepCommit(lease))
        let now = try await store.now()
        try setHint(now + 3_600_000)
        #expect(try await farOrphans().isEmpty)
        #expect(try (now + 1200...now + 2200).contains(hint()))
    }

    /// Sweepers postpone damaged sessions for a minute, and other replicas may use longer leases.
    @Test("Hints that are due in time stay")
    func whatIsDueWhenItShouldBeStays() async throws {
        let now = try await store.now()
        try redis.cli("SET", keys.state, "x")
        try setHint(now + 60_000)
        #expect(try await farOrphans().isEmpty && hint() == now + 60_000)
        try redis.cli("DEL", keys.state)
        _ = try await store.started(.user("hello", in: session))
        try redis.cli("HSET", keys.state, "lease_until", "\(now + 600_000)")
        try setHint(now + 600_200)
        for _ in 0..<2 { #expect(try await farOrphans().isEmpty && hint() == now + 600_200) }
    }

    /// One page cannot contain all hints, and some hints do not move.
    @Test("All hints are checked, also over several pages")
    func allAreLookedAt() async throws {
        let now = try await store.now()
        try setHint(now + 20_000)
        try redis.cli("SET", keys.state, "x")
        for start in stride(from: 0, to: 300, by: 100) {
            try redis.cli(["ZADD", keys.running] + (start..<start + 100).flatMap { ["\(now + 30_000 + Int64($0))", "s-\($0)"] })
        }
        #expect(try await farOrphans().isEmpty)
        #expect(try redis.cli("ZCOUNT", keys.running, "\(now + 10_000)", "+inf") == "1")
    }

    /// The owner was lost before it could renew its lease. The lease would last as long as the
    /// clock was set back.
    @Test("A far lease that is not renewed belongs to a lost replica")
    func aLeaseThatDoesNotMoveIsALostReplicas() async throws {
        try await setBack(by: 30_000)
        let started = try await store.started(.user("hello", in: session))
        let now = try await store.now()
        try redis.cli("HSET", keys.state, "lease_until", "\(now + 31_000)")
        try setHint(now + 31_200)
        #expect(try await farOrphans().isEmpty, "it may be renewed yet")
        try await eventually("it has not moved for a lease") {
            try await farOrphans() == [Orphan(session: session, step: 1, isStale: true)]
        }
        #expect(try await store.now() - now >= 1000)
        // If the lease is renewed meanwhile, its owner does not count as lost.
        try redis.cli("HSET", keys.state, "lease_until", "\(now + 31_001)")
        #expect(try await farOrphans().isEmpty)
        guard case .taken(let taken) = try await store.takeOver(TakeOver(session: session, step: 1, reason: .stale)) else {
            Issue.record("it was not taken")
            return
        }
        #expect(taken.action == .run && taken.started.lease.step == started.step + 1)
    }
}
