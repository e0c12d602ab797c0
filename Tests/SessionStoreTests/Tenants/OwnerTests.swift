import NIOCore
import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// A session belongs to the user who created it.
@Suite("Owners of sessions", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct OwnerTests {
    private let redis: RedisServer
    private let store: RedisSessionStore
    private let session = SessionID.unique()

    init() async throws {
        redis = try await .shared()
        store = try await redis.ownersStore()
    }

    private func dump() async throws -> SessionDump {
        try await RedisKeys(session).dump(on: redis.client().connection(for: ""))
    }

    /// Everything that a front end can ask for, in another user's name: each call does what it does
    /// for a session that does not exist, and writes nothing.
    private func expectAbsent(as requester: Requester, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let before = try await dump()
        #expect(try await store.state(session, as: requester) == nil, sourceLocation: sourceLocation)
        #expect(try await store.history(session, offset: 0, limit: 10, as: requester) == nil, sourceLocation: sourceLocation)
        #expect(try await store.historyLength(session, as: requester) == 0, sourceLocation: sourceLocation)
        #expect(try await store.historyBytes(session, as: requester) == 0, sourceLocation: sourceLocation)
        #expect(try await store.messages(session, in: 0..<2, as: requester).isEmpty, sourceLocation: sourceLocation)
        #expect(try await store.journal(session, as: requester).lines.isEmpty, sourceLocation: sourceLocation)
        let view = try await store.log(session, afterStep: 0, sequence: 0, openingOf: 1, limit: 10, as: requester)
        #expect(view.step == 0 && view.nonce.isEmpty && view.opening == nil && view.entries.isEmpty, sourceLocation: sourceLocation)
        #expect(try await store.look(session, as: requester).step == 0, sourceLocation: sourceLocation)
        #expect(try await store.rewind(session, to: 1, as: requester) == .noSession, sourceLocation: sourceLocation)
        #expect(try await !store.delete(session, as: requester), sourceLocation: sourceLocation)
        let step = before.state["fence"].flatMap { Int($0) } ?? 0
        guard case .gone(0) = try await store.takeOver(TakeOver(session: session, step: step, reason: .cancel), as: requester) else {
            Issue.record("the step was taken", sourceLocation: sourceLocation)
            return
        }
        #expect(try await !store.listed(as: requester).contains(session.text), sourceLocation: sourceLocation)
        #expect(try await dump() == before, sourceLocation: sourceLocation)
    }

    private func expectForbidden(
        _ begin: BeginStep, as requester: Requester, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let before = try await dump()
        guard case .refused(.forbidden, nil) = try await store.begin(begin, as: requester) else {
            Issue.record("the message was not refused", sourceLocation: sourceLocation)
            return
        }
        #expect(try await dump() == before, sourceLocation: sourceLocation)
    }

    /// The request has moved the step's hint, so that sweepers would not find the step for a lease.
    @Test("Another user's message does not hide a lost step")
    func anotherUserHidesNoLostStep() async throws {
        let lease = try await store.started(.user("hello", in: session), as: Users.alice)
        try redis.cli("HSET", RedisKeys(session).state, "lease_until", "1")
        guard case .refused(.forbidden, orphan: lease.step) = try await store.begin(.user("x", in: session), as: Users.bob) else {
            Issue.record("the lost step was not reported")
            return
        }
    }

    @Test("Another user's calls find no session, while a step runs and after it")
    func anotherUserFindsNoSession() async throws {
        let lease = try await store.started(.user("secret", in: session), as: Users.alice)
        #expect(try await dump().state["subject"] == "alice@example.com")
        try await expectAbsent(as: Users.bob)
        _ = try await store.commit(StepCommit(lease, calls: ["c1"], events: .tokens("hi")))
        try await expectAbsent(as: Users.bob)
        #expect(try await store.state(session, as: Users.alice)?.subject == "alice@example.com")
        #expect(try await store.history(session, offset: 0, limit: 10, as: Users.alice)?.length == 2)
        #expect(try await store.messages(session, in: 0..<2, as: Users.alice).count == 2)
        #expect(try await store.look(session, as: Users.alice).step == 1)
        #expect(try await store.rewind(session, to: 1, as: Users.alice) == .rewound(historyLength: 1, step: 2))
        #expect(try await store.delete(session, as: Users.alice))
    }

    @Test("Another user's messages are refused: new ones, results, retries, and replays by key and by token")
    func anotherUsersMessagesAreRefused() async throws {
        var first = BeginStep.user("secret", in: session)
        first.idempotency = BeginStep.Idempotency(key: "k", digest: "d")
        let lease = try await store.started(first, as: Users.alice)
        // The same request, even with the token of the lease.
        try await expectForbidden(first, as: Users.bob)
        try await expectForbidden(.user("x", in: session), as: Users.bob)
        _ = try await store.commit(StepCommit(lease, calls: ["c1"], events: .tokens("hi")))
        for begin in [first, .user("x", in: session), .result(of: "c1", in: session)] {
            try await expectForbidden(begin, as: Users.bob)
        }
        try await expectForbidden(BeginStep(session: session, input: .retry), as: Users.bob)
        guard case .replay(1) = try await store.begin(first, as: Users.alice) else {
            Issue.record("the owner's request was not recognised")
            return
        }
    }

    @Test("A session keeps its owner when a tenant's key writes, deletes and cuts it")
    func aTenantsKeyReachesEverySession() async throws {
        try await store.turn("one", in: session, as: Users.alice)
        let lease = try await store.turn("two", in: session, as: .tenant)
        #expect(lease.subject == "alice@example.com")
        #expect(try await dump().state["subject"] == "alice@example.com")
        #expect(try await store.listed(as: Users.alice).contains(session.text))
        #expect(try await store.listed(as: .tenant).contains(session.text))
        try await expectAbsent(as: Users.bob)
        #expect(try await store.rewind(session, to: 2, as: .tenant) == .rewound(historyLength: 2, step: 3))
        #expect(try await store.delete(session, as: .tenant))
        #expect(try await !store.listed(as: Users.alice).contains(session.text))
    }

    @Test("A session without an owner is open to the standard tenant's users, and stays without one")
    func aSessionWithoutAnOwnerIsOpen() async throws {
        try await store.turn("one", in: session, as: .tenant)
        #expect(try await store.turn("two", in: session, as: Users.bob).subject.isEmpty)
        #expect(try await dump().state["subject"] == nil)
        #expect(try await store.history(session, offset: 0, limit: 9, as: Users.alice)?.length == 4)
        #expect(try await !store.listed(as: Users.bob).contains(session.text))
    }

    @Test("In a named tenant, a session without an owner is open to the tenant's keys alone")
    func aTenantsOwnSessionIsNotOpen() async throws {
        let session = SessionID.unique(in: Users.acme)
        try await store.turn("one", in: session, as: .tenant)
        #expect(try await store.state(session, as: Users.alice) == nil)
        guard case .refused(.forbidden, nil) = try await store.begin(.user("x", in: session), as: Users.alice) else {
            Issue.record("the message was not refused")
            return
        }
        #expect(try await store.state(session, as: .tenant)?.historyLength == 2)
    }

    @Test("A step that is taken over keeps the session's owner in the lease")
    func aTakenStepKeepsTheOwner() async throws {
        let lease = try await store.started(.user("hello", in: session), as: Users.alice)
        _ = try await store.release(lease)
        let taken = try await store.taken(lease)
        #expect(taken.subject == "alice@example.com")
        _ = try await store.commit(StepCommit(taken))
        #expect(try await store.listed(as: Users.alice).contains(session.text))
    }

    @Test("A name that is free again belongs to its next creator")
    func aNameThatIsFreeAgainBelongsToItsNextCreator() async throws {
        try await store.turn("one", in: session, as: Users.alice)
        #expect(try await store.delete(session, as: Users.alice))
        try await store.turn("two", in: session, as: Users.bob)
        try await expectAbsent(as: Users.alice)
        #expect(try await store.listed(as: Users.bob).contains(session.text))
        // The tenant's list has it once.
        let all = try await store.list(.standard, after: nil, limit: 500, as: .tenant).sessions.map(\.session)
        #expect(all.count { $0 == session } == 1)
    }

    /// The replica that ran the step is lost before it has written the list.
    @Test("A sweeper adds a session to its owner's list")
    func aSweeperAddsASessionToItsOwnersList() async throws {
        let redis = try await RedisServer.start()
        let lost = try await redis.ownersStore(lease: .milliseconds(300))
        let lease = try await lost.started(.user("hello", in: session), as: Users.alice)
        _ = try await lost.commit(StepCommit(lease))
        try await eventually("the list is written") { try redis.cli("--scan", "--pattern", "agent:{s:*").contains("alice@example.com") }
        try redis.cli("DEL", RedisKeyspace.standard.sessions(of: "alice@example.com", in: .standard))
        let other = try await redis.ownersStore(replica: "replica-2", lease: .milliseconds(300))
        try await eventually("a sweeper has looked at the hint") {
            _ = try await other.orphans(bucket: RedisKeys(session).bucket, limit: 10)
            return try await other.listed(as: Users.alice).contains(session.text)
        }
    }

    @Test("A user's list pages in the order of activity, and drops what is gone")
    func aUsersListPages() async throws {
        let user = Users.subject("user-\(SessionID.unique())")
        var sessions: [SessionID] = []
        for _ in 0..<5 {
            let session = SessionID.unique()
            try await store.turn(in: session, as: user)
            sessions.append(session)
            await store.activity.flush()
            // Two sessions of one millisecond would be ordered by their ids.
            let now = try await store.time("")
            while try await store.time("") == now {}
        }
        var found: [SessionID] = []
        var cursor: SessionCursor?
        repeat {
            let page = try await store.list(.standard, after: cursor, limit: 2, as: user)
            found += page.sessions.map(\.session)
            cursor = page.next.flatMap { SessionCursor($0.description, tenant: .standard) }
        } while cursor != nil
        #expect(found == sessions.reversed())
        var delete = RedisCommand("DEL")
        delete.append(contentsOf: RedisKeys(sessions[2]).all)
        _ = try await store.client.connection(for: "").send(delete)
        #expect(try await store.listed(as: user) == Set(sessions.map(\.text)).subtracting([sessions[2].text]))
        #expect(try redis.cli("ZCARD", RedisKeyspace.standard.sessions(of: user.owner, in: .standard)) == "4")
    }

    @Test("Below layout 3 no user and no named tenant begins a session")
    func belowLayout3NothingHasAnOwner() async throws {
        let old = try await redis.store { $0.layout = 2 }
        let tenants = SessionID.unique(in: Users.acme)
        for (session, requester) in [(session, Users.alice), (tenants, .tenant)] {
            await #expect { try await old.begin(.user("x", in: session), as: requester) } throws: {
                ($0 as? StoreError)?.code == .olderLayout
            }
            #expect(try await old.state(session, as: requester) == nil)
        }
        guard case .started = try await old.begin(.user("x", in: session), as: .tenant) else {
            Issue.record("a session without an owner was refused")
            return
        }
    }
}
