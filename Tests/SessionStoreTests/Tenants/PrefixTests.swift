import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// Two deployments share a Redis. Each has a user with the smallest rights: to its own keys and
/// channels alone.
@Suite("Key prefixes", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct PrefixTests {
    private let redis: RedisServer
    private let session = SessionID.unique()

    init() async throws { redis = try await .start() }

    private func store(
        _ prefix: String, replica: String = "replica-1", _ change: (inout StoreConfiguration) -> Void = { _ in }
    ) async throws -> RedisSessionStore {
        try redis.cli(["ACL", "SETUSER", prefix] + AccessRules.server(prefix: prefix))
        var configuration = redis.restrictedConfiguration
        configuration.username = prefix
        let keyspace = try #require(RedisKeyspace(prefix))
        return try await configuration.store(replica: replica) {
            $0.keyspace = keyspace
            $0.outagePause = .zero
            change(&$0)
        }
    }

    @Test("Deployments with different prefixes see nothing of each other")
    func deploymentsSeeNothingOfEachOther() async throws {
        let (one, two) = (try await store("one"), try await store("two_2-A"))
        // The layout.
        #expect(try await one.establishLayout() == RedisLayout.known)
        try await one.setLayout(2)
        #expect(try await two.establishLayout() == RedisLayout.known)
        #expect(try await one.establishLayout() == 2)
        // The replicas.
        try await one.announce()
        #expect(try await one.replicas().map(\.entry.name) == ["replica-1"])
        #expect(try await two.replicas().isEmpty)
        // A session.
        let lease = try await one.started(.user("hello", in: session))
        await one.activity.flush()
        #expect(try await two.state(session) == nil)
        #expect(try await one.list(after: nil, limit: 9).sessions.count == 1)
        #expect(try await two.list(after: nil, limit: 9).sessions.isEmpty)
        // A sweep, and the notice of a takeover.
        let keys = RedisKeys(session, in: one.keyspace)
        try redis.cli("HSET", keys.state, "lease_until", "1")
        try redis.cli("ZADD", keys.running, "1", session.name)
        #expect(try await two.orphans(bucket: keys.bucket, limit: 9).orphans.isEmpty)
        let (heard, overheard) = (ChannelLog(), ChannelLog())
        let subscriptions = [
            one.messagesToReplica { if case .message(let message) = $0 { heard.add(message) } },
            two.messagesToReplica { if case .message(let message) = $0 { overheard.add(message) } },
        ]
        defer { withExtendedLifetime(subscriptions) {} }
        let sweeper = try await store("one", replica: "replica-2")
        #expect(try await sweeper.orphans(bucket: keys.bucket, limit: 9).orphans == [Orphan(session: session, step: lease.step)])
        guard case .taken(let taken) = try await sweeper.takeOver(TakeOver(session: session, step: 1, reason: .lost)) else {
            Issue.record("the step was not taken")
            return
        }
        try await eventually("the former owner is notified") { heard.messages == ["\(session) 1"] }
        #expect(overheard.messages.isEmpty)
        // The session of the same name.
        let other = try await two.started(.user("hello", in: session))
        #expect(other.step == 1)
        #expect(try await sweeper.commit(StepCommit(taken.started.lease)) == .held)
        #expect(try await two.delete(session))
        #expect(try await one.state(session)?.historyLength == 2)
        let names = try redis.lines("--scan")
        #expect(names.contains { $0.hasPrefix("one:") } && names.allSatisfy { $0.hasPrefix("one:") || $0.hasPrefix("two_2-A:") })
    }

    @Test("A prefix has 1–32 of A-Z a-z 0-9 _ -")
    func aPrefixIsAWord() {
        for prefix in ["a", "agent", String(repeating: "x", count: 32), "A_b-9"] {
            #expect(RedisKeyspace(prefix)?.prefix == prefix)
        }
        for prefix in ["", "a:b", "a{b", "é", "a b", String(repeating: "x", count: 33)] { #expect(RedisKeyspace(prefix) == nil) }
    }
}
