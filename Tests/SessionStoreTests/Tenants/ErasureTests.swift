import NIOCore
import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// A user's sessions are erased as a whole, and exported.
@Suite("Erasure and export", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct ErasureTests {
    private let redis: RedisServer
    private let store: RedisSessionStore
    private let subject: Subject
    private let user: Requester

    init() async throws {
        redis = try await .start()
        // What DUMP returns shows every text.
        try redis.cli("CONFIG", "SET", "rdbcompression", "no")
        store = try await redis.ownersStore(lease: .milliseconds(300))
        subject = try #require(Subject("carol/ü"))
        user = .subject(subject)
    }

    /// Sweeps as a replica does, until the erasure has ended.
    private func ended(on store: RedisSessionStore? = nil, in tenant: TenantID = .standard) async throws {
        let store = store ?? self.store
        try await eventually("the erasure has ended", timeout: .seconds(30)) {
            try await store.performErasures()
            for bucket in 0..<RedisKeyspace.bucketCount { _ = try await store.orphans(bucket: bucket, limit: 100) }
            return try await !store.isErasing(subject, in: tenant)
        }
    }

    /// Every key and every value of Redis that holds one of these texts.
    private func places(of texts: String...) throws -> [String] {
        try redis.lines("--scan").filter { key in
            let value = try redis.cli("DUMP", key)
            return texts.contains { key.contains($0) || value.contains($0) }
        }
    }

    @Test("Every session of the user goes, running ones too, and no key or value is left")
    func everySessionOfTheUserGoes() async throws {
        var sessions: [SessionID] = []
        for index in 0..<4 {
            let session = SessionID.unique("carols")
            try await store.turn("message \(index)", in: session, as: user, calls: index == 1 ? ["c1"] : [])
            sessions.append(session)
        }
        let running = SessionID.unique("carols")
        let lease = try await store.started(.user("message 5", in: running), as: user)
        let (others, unowned) = (SessionID.unique(), SessionID.unique())
        try await store.turn("message", in: others, as: Users.alice)
        try await store.turn("message", in: unowned, as: .tenant)
        #expect(try !places(of: "carol").isEmpty)
        try await store.erase(subject, in: .standard)
        #expect(try await store.isErasing(subject, in: .standard))
        try await ended()
        #expect(try places(of: "carol").isEmpty)
        #expect(try await store.listed(as: .tenant) == [others.text, unowned.text])
        guard case .lost = try await store.commit(StepCommit(lease)) else {
            Issue.record("the running step was committed")
            return
        }
        #expect(try await store.state(running, as: .tenant) == nil)
        // Nothing is left to do the second time.
        try await store.erase(subject, in: .standard)
        try await ended()
        #expect(try await store.listed(as: .tenant).count == 2)
    }

    @Test("An erasure goes on at another replica")
    func anErasureGoesOnAtAnotherReplica() async throws {
        for _ in 0..<3 { try await store.turn(in: .unique("carols"), as: user) }
        await store.activity.flush()
        try await store.erase(subject, in: .standard)
        try await store.erase(subject, in: .standard)
        #expect(try redis.cli("ZCARD", store.keyspace.erasures) == "1")
        let other = try await redis.ownersStore(replica: "replica-2", lease: .milliseconds(300))
        try await ended(on: other)
        #expect(try places(of: "carol").isEmpty)
    }

    @Test("A session that begins after the request stays, and so does another tenant's")
    func aLaterSessionStays() async throws {
        let early = SessionID.unique("carols")
        try await store.turn(in: early, as: user)
        let foreign = SessionID.unique(in: Users.acme)
        try await store.turn(in: foreign, as: user)
        await store.activity.flush()
        try await store.erase(subject, in: .standard)
        // The session is created a millisecond later at least.
        let now = try await store.time("")
        while try await store.time("") == now {}
        let late = SessionID.unique("carols")
        try await store.turn(in: late, as: user)
        try await ended()
        #expect(try await store.state(early, as: .tenant) == nil)
        #expect(try await store.listed(as: user) == [late.text])
        #expect(try await store.listed(Users.acme, as: user) == [foreign.text])
    }

    /// A record of a replica that was slow comes after the first pass.
    @Test("An entry that is written late is removed by the second pass")
    func aLateEntryIsRemoved() async throws {
        let session = SessionID.unique("carols")
        try await store.turn(in: session, as: user)
        await store.activity.flush()
        try await store.erase(subject, in: .standard)
        try await store.performErasures()
        #expect(try await store.state(session, as: .tenant) == nil)
        for place in store.keyspace.places(of: IndexMember(session, subject: subject.text)) {
            try redis.cli("ZADD", place.key, "1", place.member)
        }
        try await ended()
        #expect(try places(of: "carol").isEmpty)
    }

    @Test("A damaged session of the user is erased, too")
    func aDamagedSessionIsErased() async throws {
        let (damaged, session) = (SessionID.unique("carols"), SessionID.unique("carols"))
        for session in [damaged, session] { try await store.turn(in: session, as: user) }
        await store.activity.flush()
        try redis.cli("DEL", RedisKeys(damaged).state)
        try redis.cli("SET", RedisKeys(damaged).state, "carol")
        try await store.erase(subject, in: .standard)
        try await ended()
        #expect(try places(of: "carol").isEmpty)
    }

    @Test("Jobs are parsed from their text")
    func jobsAreParsed() throws {
        let job = Erasure(subject, in: Users.acme, requested: 7)
        #expect(job.text == "acme/carol%2F%C3%BC 7")
        #expect(Erasure(job.text) == job)
        #expect(Erasure("/a@b 7")?.tenant == .standard)
        for text in ["", "a 7", "a/b", "a/b x", "a/ 7", "a b/c 7"] { #expect(Erasure(text) == nil) }
    }

    @Test("An export has each session of the user with all its messages, in parts")
    func anExportHasEverySession() async throws {
        let store = try await redis.ownersStore { $0.historyPage = 2 }
        var expected: [SessionID: Int] = [:]
        for turns in 1...3 {
            let session = SessionID.unique("carols")
            for turn in 0..<turns { try await store.turn("message \(turn)", in: session, as: user) }
            expected[session] = 2 * turns
        }
        try await store.turn(in: .unique(), as: Users.alice)
        try await store.turn(in: .unique(), as: .tenant)
        var found: [SessionID: [String]] = [:]
        var current: SessionID?
        for try await part in store.export(subject, in: .standard) {
            switch part {
            case .session(let session, let state):
                #expect(found[session] == nil && state.subject == subject.text)
                (current, found[session]) = (session, [])
            case .messages(let session, let offset, let messages):
                #expect(session == current && found[session]?.count == offset)
                found[session]?.append(contentsOf: messages.map { String(buffer: $0) })
            }
        }
        #expect(found.mapValues(\.count) == expected)
        #expect(found.values.allSatisfy { $0.first?.contains("message 0") == true })
    }
}
