import Foundation
import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// A real Redis stalls for a while, or loses its connections (I6).
@Suite("A real Redis that stalls", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct RedisStallTests {
    /// Calls ``RedisSessionStore/beat()`` as a replica does, until `body` has ended.
    private func beating(_ store: RedisSessionStore, _ body: () async throws -> Void) async throws {
        let beats = Task {
            while !Task.isCancelled {
                store.beat()
                try? await Task.sleep(for: store.beatPeriod)
            }
        }
        defer { beats.cancel() }
        try await body()
    }

    /// The store records the time of a reply before it acts on the lease that the reply contains.
    @Test("After a stall living owners renew first (I6)")
    func afterAStallLivingOwnersComeFirst() async throws {
        let redis = try await RedisServer.start()
        let owner = try await redis.store(replica: "owner", lease: .milliseconds(600)) { $0.outagePause = .zero }
        let other = try await redis.store(replica: "other", lease: .milliseconds(600))
        let place = other.client.location(of: "")
        try await beating(other) {
            let lease = try await owner.started(.user("hello", in: .unique()))
            try await eventually("the pause of a new replica is over") { other.outage.isOver(at: place) }
            redis.process.signal(SIGSTOP)
            let news = Task { try await other.look(lease.session) }
            try await Task.sleep(for: .milliseconds(900))
            redis.process.signal(SIGCONT)
            #expect(try await news.value.isOrphaned)
            let takeOver = TakeOver(session: lease.session, step: lease.step, reason: .lost)
            guard case .tooEarly = try await other.takeOver(takeOver) else {
                Issue.record("a stall is taken for a loss")
                return
            }
            // The owner is really lost.
            try await eventually("it is taken over") {
                if case .taken = try await other.takeOver(takeOver) { true } else { false }
            }
        }
        try await redis.kill()
    }

    /// A connection that is lost repeatedly must not prevent takeovers.
    @Test("Lost connections are not an outage")
    func lostConnectionsAreNoOutage() async throws {
        let redis = try await RedisServer.start()
        let store = try await redis.store(lease: .seconds(3)) { $0.outagePause = .milliseconds(100) }
        let place = store.client.location(of: "")
        try await beating(store) {
            try await eventually("the pause of a new replica is over") { store.outage.isOver(at: place) }
            for _ in 0..<5 {
                let generation = store.client.generation
                try redis.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                try await eventually("connections are made again") { store.client.generation != generation }
                #expect(store.outage.isOver(at: place))
            }
        }
        try await redis.kill()
    }

    /// The store waits until Redis serves the command. Redis may have refused the owner as well,
    /// and the owner must then be able to renew first.
    @Test("A refused takeover is too early")
    func aRefusedTakeOverIsTooEarly() async throws {
        let redis = try await RedisServer.start()
        let store = try await redis.store(lease: .milliseconds(600))
        let lease = try await store.started(.user("hello", in: .unique()))
        let takeOver = TakeOver(session: lease.session, step: lease.step, reason: .lost)
        try await beating(store) {
            try await eventually("the lease has run out, and the first pause") {
                try await store.look(lease.session).isOrphaned && store.outage.isOver(at: store.client.location(of: ""))
            }
            try redis.cli("CONFIG", "SET", "min-replicas-to-write", "1")
            guard case .tooEarly = try await store.takeOver(takeOver) else {
                Issue.record("it was taken")
                return
            }
            try redis.cli("CONFIG", "SET", "min-replicas-to-write", "0")
            guard case .tooEarly = try await store.takeOver(takeOver) else {
                Issue.record("it was taken at once")
                return
            }
            try await eventually("it is taken over") {
                if case .taken = try await store.takeOver(takeOver) { true } else { false }
            }
        }
        try await redis.kill()
    }
}
