import NIOCore
import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// The tenant is a part of each of its keys.
@Suite("Tenants", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct TenantTests {
    private let redis: RedisServer
    private let store: RedisSessionStore
    private let mine = SessionID.unique(in: Users.acme)
    private let other: SessionID

    init() async throws {
        redis = try await .start()
        store = try await redis.ownersStore()
        other = try #require(SessionID(mine.text, tenant: Users.tenant("other")))
    }

    @Test("Two tenants have sessions of one id")
    func twoTenantsHaveSessionsOfOneID() async throws {
        try await store.turn("of acme", in: mine, as: .tenant)
        #expect(try await store.state(other, as: .tenant) == nil)
        try await store.turn("of other", in: other, as: .tenant)
        let page = try #require(try await store.history(mine, offset: 0, limit: 9, as: .tenant))
        #expect(page.length == 2 && String(buffer: page.messages[0]).contains("of acme"))
        #expect(try redis.cli("LINDEX", "agent:{other/\(other.text)}:history", "0").contains("of other"))
        #expect(try await store.delete(other, as: .tenant))
        #expect(try await store.state(mine, as: .tenant)?.historyLength == 2)
    }

    @Test("A list has the sessions of its tenant, and a cursor of another one gives nothing away")
    func aListHasTheSessionsOfItsTenant() async throws {
        try await store.turn(in: mine, as: .tenant)
        let second = SessionID.unique(in: Users.acme)
        try await store.turn(in: second, as: Users.alice)
        try await store.turn(in: other, as: Users.alice)
        try await store.turn(in: .unique(), as: Users.alice)
        #expect(try await store.listed(Users.acme, as: .tenant) == [mine.text, second.text])
        #expect(try await store.listed(Users.acme, as: Users.alice) == [second.text])
        #expect(try await store.listed(other.tenant, as: Users.alice) == [other.text])
        #expect(try await store.listed(Users.tenant("nobody"), as: .tenant).isEmpty)
        let page = try await store.list(Users.acme, after: nil, limit: 1, as: .tenant)
        let text = try #require(page.next?.description)
        #expect(!text.contains("acme"))
        let cursor = try #require(SessionCursor(text, tenant: other.tenant))
        let foreign = try await store.list(other.tenant, after: cursor, limit: 9, as: .tenant)
        #expect(foreign.sessions.allSatisfy { $0.session.tenant == other.tenant })
    }

    @Test("A lost step of a tenant is found, taken over, and its former owner is notified")
    func aTenantsLostStepIsTakenOver() async throws {
        let heard = ChannelLog()
        let subscription = store.messagesToReplica { signal in
            if case .message(let message) = signal { heard.add(message) }
        }
        defer { withExtendedLifetime(subscription) {} }
        let lease = try await store.started(.user("hello", in: mine), as: .tenant)
        let keys = RedisKeys(mine)
        try redis.cli("HSET", keys.state, "lease_until", "1")
        try redis.cli("ZADD", keys.running, "1", mine.name)
        let sweeper = try await redis.ownersStore(replica: "replica-2") { $0.outagePause = .zero }
        let found = try await sweeper.orphans(bucket: keys.bucket, limit: 9)
        #expect(found.orphans == [Orphan(session: mine, step: lease.step)])
        guard case .taken = try await sweeper.takeOver(TakeOver(session: mine, step: lease.step, reason: .lost), as: .tenant) else {
            Issue.record("the step was not taken")
            return
        }
        try await eventually("the former owner is notified") { heard.messages.contains("acme/\(mine.text) \(lease.step)") }
    }

    @Test("Expired sessions of every tenant leave the index and their owners' lists")
    func everyTenantsIndexIsPruned() async throws {
        let store = try await redis.ownersStore { $0.sessionTTL = .seconds(100) }
        try await store.turn(in: mine, as: Users.bob)
        try await store.turn(in: other, as: .tenant)
        await store.activity.flush()
        #expect(try await Set(store.tenants()) == [.standard, mine.tenant, other.tenant])
        let list = RedisKeyspace.standard.sessions(of: Users.bob.owner, in: mine.tenant)
        for session in [mine, other] {
            let member = IndexMember(session, subject: session == mine ? Users.bob.owner : "")
            try redis.cli("ZADD", RedisKeys(session).index, "1", member.text)
            try redis.cli(["DEL"] + RedisKeys(session).all)
        }
        try redis.cli("ZADD", list, "1", mine.name)
        for bucket in 0..<RedisKeyspace.bucketCount { try await store.prune(bucket: bucket) }
        for key in [RedisKeys(mine).index, RedisKeys(other).index, list] { #expect(try redis.cli("ZCARD", key) == "0") }
    }

    /// A client of one tenant guesses the id of another's session.
    @Test("For another tenant's session Redis gets the commands that it gets for no session")
    func redisGetsTheCommandsOfNoSession() async throws {
        try await store.turn("secret", in: mine, as: Users.alice)
        await store.activity.flush()
        let absent = SessionID.unique(in: other.tenant)
        // The replica knows Redis's time, and each connection, before it is watched.
        try await visit(.unique(in: other.tenant))
        let monitor = try ChildProcess("redis-cli", ["-s", redis.socket, "MONITOR"], directory: redis.directory)
        try await eventually("it is watched") { monitor.log.contains("OK") }
        func commands(_ session: SessionID) async throws -> [String] {
            let mark = "mark-\(session.text)"
            let before = monitor.log.count
            try await visit(session)
            try redis.cli("ECHO", mark)
            try await eventually("all is seen") { monitor.log.contains(mark) }
            let lines = String(monitor.log.dropFirst(before)).split(separator: "\n")
            return lines.filter { $0.contains(session.text) && !$0.contains(mark) }.map { line in
                // Behind the time and the connection.
                String(line.drop { $0 != "]" }).replacing(session.text, with: "S").replacing(/[0-9]{6,}/, with: "N")
                    .replacing(/[a-z2-9]{26}/, with: "TOKEN").replacing(/"[a-z2-9]{4}"/, with: "NONCE").replacing(/(running|sessions:other):[0-9]+/, with: "BUCKET")
            }
        }
        let foreign = try await commands(other)
        #expect(foreign.count > 8)
        let none = try await commands(absent)
        #expect(none == foreign)
        #expect(try await store.state(mine, as: .tenant)?.historyLength == 2)
    }

    /// Asks for a session that does not exist in its tenant.
    private func visit(_ session: SessionID) async throws {
        #expect(try await store.state(session, as: Users.alice) == nil)
        #expect(try await store.history(session, offset: 0, limit: 9, as: Users.alice) == nil)
        #expect(try await store.log(session, afterStep: 1, sequence: 1, openingOf: 1, limit: 9, as: Users.alice).step == 0)
        #expect(try await store.look(session, as: Users.alice).step == 0)
        #expect(try await store.rewind(session, to: 1, as: Users.alice) == .noSession)
        #expect(try await !store.delete(session, as: Users.alice))
        guard case .refused(.unknownCall, nil) = try await store.begin(.result(of: "c", in: session), as: Users.alice) else {
            Issue.record("a result was accepted")
            return
        }
    }
}
