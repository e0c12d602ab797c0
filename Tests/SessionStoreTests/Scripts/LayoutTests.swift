import NIOCore
import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// Builds of different layouts read and write the same session.
@Suite("Layouts of the keys", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct LayoutTests {
    private static let hello = #"{"role":"user","content":"hello"}"#

    @Test("A session moves to the new layout at its next write")
    func aSessionMovesWhenItIsNextWritten() async throws {
        let (it, token) = try await ScriptSession.running()
        _ = try await it.commit(token, 1)
        #expect(try await it.dump().state["v"] == nil)
        let next = LeaseToken().text
        #expect(try await it.begin { ($0.token, $0.layout) = (next, 2) }.step == 2)
        let dump = try await it.dump()
        #expect(dump.state["v"] == "2" && dump.pending == ["": "{}"] && dump.steps.first == #"{"status":"completed"}"#)
        #expect(Set(dump.expiry.keys) == ["history", "state", "pending", "ledger", "events", "steps", "reasoning"])
        _ = try await it.commit(next, 2)
        // A replica that may write only layout 1 does not change the session's layout.
        #expect(try await it.begin().step == 3)
        #expect(try await it.dump().state["v"] == "2")
    }

    /// A Cluster that moves a slot also needs this.
    @Test("Every key exists from the first write to the deletion (I8)")
    func everyKeyExistsFromTheFirstWriteOn() async throws {
        let it = try await ScriptSession()
        let all: Set<String> = ["history", "state", "pending", "ledger", "events", "steps", "reasoning"]
        func keys() async throws -> Set<String> { Set(try await it.dump().expiry.keys) }
        var token = LeaseToken().text
        _ = try await it.begin { ($0.token, $0.layout) = (token, 2) }
        #expect(try await keys() == all)
        _ = try await it.commit(token, 1, .calls("a", "b"))
        #expect(try await keys() == all)
        #expect(try await it.result(of: "a") { $0.layout = 2 }.line.hasPrefix("waiting 1 3 b"))
        token = LeaseToken().text
        _ = try await it.result(of: "b") { ($0.token, $0.layout) = (token, 2) }
        #expect(try await keys() == all)
        _ = try await it.commit(token, 2, .calls("c"))
        token = LeaseToken().text
        _ = try await it.begin { ($0.token, $0.layout) = (token, 2) }
        #expect(try await keys() == all)
        #expect(try await it.takeOver { ($0.step, $0.force, $0.intent) = (3, true, "cancel") }.name == "taken")
        #expect(try await keys() == all)
        #expect(try await it.delete())
        #expect(try await keys().isEmpty)
    }

    @Test("Filler values are never shown")
    func fillersAreShownToNobody() async throws {
        let (it, token) = try await ScriptSession.running { $0.layout = 2 }
        _ = try await it.commit(token, 1, .calls("a"))
        let store = try await it.store()
        #expect(try await store.state(it.session)?.pending.map(\.id) == ["a"])
        #expect(try await store.journal(it.session).lines.map { String(buffer: $0) } == [#"{"status":"completed"}"#])
        #expect(try await it.retry().line == "calls_pending a")
    }

    @Test("A session of a later layout is left alone")
    func aSessionOfALaterLayoutIsLeftAlone() async throws {
        let (it, token) = try await ScriptSession.running()
        _ = try await it.commit(token, 1, .calls("a"))
        try await it.command("HSET", it.keys.state, "v", "4")
        try await it.refused("newer 4") { try await it.begin() }
        try await it.refused("newer 4") { try await it.result(of: "a") }
        try await it.refused("newer 4") { try await it.delete(epoch: it.dump().state["epoch"] ?? "") }
        let store = try await it.store()
        guard case .refused(.newerLayout(4), nil) = try await store.begin(.user("x", in: it.session)) else {
            Issue.record("it was accepted")
            return
        }
        await #expect { try await store.rewind(it.session, to: 1) } throws: { ($0 as? StoreError)?.code == .newerLayout }
        await #expect { try await store.delete(it.session) } throws: { ($0 as? StoreError)?.code == .newerLayout }
        try await it.command("HSET", it.keys.state, "status", "running")
        try await it.refused("newer 4") { try await it.takeOver() }
    }

    // MARK: The deployment's layout

    @Test("An empty Redis begins with the latest layout")
    func aRedisWithoutSessionsBeginsWithTheLatestLayout() async throws {
        let redis = try await RedisServer.start()
        let store = try await redis.store()
        #expect(try await store.deploymentLayout() == nil)
        #expect(try await store.establishLayout() == 3)
        #expect(store.layout.current == 3)
        guard case .started = try await store.begin(.user("x", in: .unique())) else { throw StoreError(.unexpectedReply, "not started") }
        #expect(try await redis.store().establishLayout() == 3)
    }

    @Test("A Redis with sessions keeps the first layout until it is raised")
    func aRedisWithSessionsKeepsTheFirstUntilItIsRaised() async throws {
        let redis = try await RedisServer.start()
        let before = try await redis.store()
        guard case .started = try await before.begin(.user("x", in: .unique())) else { throw StoreError(.unexpectedReply, "not started") }
        let store = try await redis.store(replica: "new")
        #expect(try await store.establishLayout() == 1)
        try await store.setLayout(2)
        #expect(try await store.establishLayout() == 2)
        #expect(try redis.cli("HGET", "agent:meta", "written_by").contains("new"))
    }

    @Test("A private Redis is raised by its own server")
    func aPrivateRedisIsRaisedByItsOwnServer() async throws {
        let redis = try await RedisServer.start()
        let store = try await redis.store()
        try await store.setLayout(1)
        #expect(try await store.establishLayout() == 1)
        #expect(try await store.establishLayout(owns: true) == 3)
        // A replica never lowers the layout.
        try await store.setLayout(7)
        #expect(try await store.establishLayout(owns: true) == 7)
        #expect(store.layout.isNewer && store.layout.current == 3)
        let membership = Membership(store: store, owns: true, logger: .quiet)
        await #expect(throws: Membership.NewerLayout.self) { try await membership.join() }
    }

    @Test("A replica is listed while it lives")
    func aReplicaIsListedWhileItLives() async throws {
        let redis = try await RedisServer.start()
        let store = try await redis.store(replica: "one", lease: .milliseconds(300)) { ($0.version, $0.instance) = ("1.2", "p1") }
        let other = try await redis.store(replica: "two", lease: .milliseconds(300)) { ($0.version, $0.instance) = ("1.3", "p2") }
        try await store.announce()
        try await other.announce()
        #expect(
            try await store.replicas().map(\.entry)
                == [
                    ReplicaEntry(name: "one", version: "1.2", layout: 3, instance: "p1"),
                    ReplicaEntry(name: "two", version: "1.3", layout: 3, instance: "p2"),
                ])
        try await eventually("one is gone") {
            try await other.announce()
            return try redis.cli("ZRANGE", "agent:replicas", "0", "-1") == "two@1.3@3@p2"
        }
        other.leave()
        try await eventually("two has left") { try await store.replicas().isEmpty }
    }

    @Test("Entries of the replica list are parsed from their end")
    func entriesAreReadFromTheirEnd() {
        #expect(ReplicaEntry("a@b@1.0@2@x") == ReplicaEntry(name: "a@b", version: "1.0", layout: 2, instance: "x"))
        #expect(ReplicaEntry("name@1.0@x@y") == nil && ReplicaEntry("name@1.0@2") == nil && ReplicaEntry("") == nil)
        #expect(ReplicaEntry(name: "n", version: "1@2", layout: 1, instance: "i").text == "n@1-2@1@i")
    }
}
