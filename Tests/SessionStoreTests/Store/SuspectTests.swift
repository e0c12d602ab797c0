import NIOCore
import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// After a step has ended two replicas, it must not end a third one.
@Suite("Steps that end their replicas", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct SuspectTests {
    private static let lease = Duration.milliseconds(400)
    let redis: RedisServer
    let session = SessionID.unique()
    var keys: RedisKeys { RedisKeys(session) }

    init() async throws {
        redis = try await RedisServer.start()
    }

    private func store(_ name: String, announced: Bool = true, aheadBytes: Int = 64 << 10) async throws -> RedisSessionStore {
        let store = try await redis.store(replica: name, lease: Self.lease) {
            $0.instance = name
            $0.outagePause = .zero
            $0.historyAheadBytes = aheadBytes
        }
        if announced { try await store.announce() }
        return store
    }

    private func take(_ store: RedisSessionStore, step: Int) async throws -> TakeOverOutcome {
        try await store.takeOver(TakeOver(session: session, step: step, reason: .lost))
    }

    /// Makes a first and a second owner of step 1 fall silent. Afterwards the step's number is 2.
    private func lose(_ first: RedisSessionStore, _ second: RedisSessionStore) async throws {
        _ = try await first.started(.user("poison", in: session))
        try await eventually("the second takes it") {
            guard case .taken(let step) = try await take(second, step: 1) else { return false }
            return step.action == .run
        }
    }

    @Test("A step that ends its replicas costs two of them")
    func aStepThatEndsItsReplicasEndsTwoOfThem() async throws {
        let (first, second) = (try await store("first"), try await store("second"))
        try await lose(first, second)
        let third = try await store("third")
        var outcomes: [String] = []
        try await eventually("it fails") {
            let outcome = try await take(third, step: 2)
            outcomes.append("\(outcome)")
            guard case .taken(let step) = outcome else { return false }
            #expect(step.action == .fail && step.replaced.map(\.step) == [1, 2])
            return true
        }
        #expect(try redis.cli("HGET", keys.state, "lost") == "1 first 1,2 second 1")
        #expect(try redis.cli("LLEN", keys.history) == "1")
    }

    /// The replica was only silent: a pause is not evidence against the step.
    @Test("A paused replica that lives clears the step")
    func aReplicaThatLivesSpeaksForTheStep() async throws {
        let (first, second) = (try await store("first"), try await store("second"))
        try await lose(first, second)
        let third = try await store("third")
        try await eventually("it runs") {
            try await second.announce()
            guard case .taken(let step) = try await take(third, step: 2) else { return false }
            return step.action == .run
        }
    }

    /// The second owner had not asked the model yet, so that the model's completion is not the
    /// cause.
    @Test("A step that may not be to blame waits and runs alone")
    func aStepThatMayHaveHadBadLuckWaitsAndRunsAlone() async throws {
        let (first, second) = (try await store("first"), try await store("second", aheadBytes: 0))
        try await lose(first, second)
        let third = try await store("third")
        let other = SessionID.unique()
        #expect(try await third.claimQuarantine(other, step: 1))
        let begun = ContinuousClock.now
        try await eventually("the place is free, and it runs") {
            guard case .taken(let step) = try await take(third, step: 2) else { return false }
            return step.action == .run
        }
        #expect(ContinuousClock.now - begun >= Self.lease * 3)
        #expect(try redis.cli("ZRANGE", RedisKeyspace.standard.suspects, "0", "-1") == session.text)
        #expect(try await !third.claimQuarantine(other, step: 1))
    }

    @Test("Released steps do not count as losses")
    func stepsThatWereGivenBackAreNoLosses() async throws {
        let (first, second) = (try await store("first"), try await store("second"))
        let lease = try await first.started(.user("hello", in: session))
        _ = try await first.release(lease)
        let next = try await second.taken(lease)
        _ = try await second.release(next)
        let third = try await store("third")
        guard case .taken(let step) = try await take(third, step: 2) else {
            Issue.record("not taken")
            return
        }
        #expect(step.action == .run)
        #expect(try redis.cli("HGET", keys.state, "lost") == "")
    }

    /// A build that knows only layout 1 does not change these fields: they may belong to an earlier
    /// step.
    @Test("Losses of an earlier step do not count against this one")
    func whatAnEarlierStepHasLostIsNotHeldAgainstThisOne() async throws {
        let (first, second) = (try await store("first"), try await store("second"))
        _ = try await first.started(.user("hello", in: session))
        try redis.cli("HSET", keys.state, "fence", "7", "attempt", "2", "lost", "1 a 1,2 b 1", "chain", "1 x,2 y", "replaces", "2")
        try redis.cli("XADD", keys.events, "7-0", "nonce", "zzzz")
        try await eventually("it runs") {
            guard case .taken(let step) = try await take(second, step: 7) else { return false }
            return step.action == .run && step.replaced.map(\.step) == [7]
        }
    }
}
