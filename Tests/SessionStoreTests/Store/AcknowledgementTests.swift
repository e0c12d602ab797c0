import Foundation
import NIOCore
import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// No client gets events that rest on a write which too few of Redis's replicas have (I4).
@Suite("Acknowledgement by Redis's replicas", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct AcknowledgementTests {
    /// A master, and a Redis replica that the test can stop.
    private func servers() async throws -> (master: RedisServer, replica: RedisServer) {
        let master = try await RedisServer.start(["--repl-diskless-sync-delay", "0"])
        let replica = try await RedisServer.start(["--replicaof", "127.0.0.1", "\(master.port)"])
        try await eventually("the replica follows") { try replica.cli("INFO", "replication").contains("master_link_status:up") }
        return (master, replica)
    }

    /// - Parameter patience: A short time if the wait must end without a reply, and a long time
    ///   otherwise.
    private func store(_ master: RedisServer, replica: String = "one", patience: Duration = .seconds(20)) async throws -> RedisSessionStore
    {
        try await master.store(replica: replica, lease: .seconds(60)) {
            $0.acknowledgement = Acknowledgement(replicas: 1, patience: .milliseconds(100))
            ($0.commitPatience, $0.retryPatience) = (patience, patience)
        }
    }

    private func failure<Value: Sendable>(_ call: () async throws -> Value) async -> StoreError? {
        do {
            _ = try await call()
            return nil
        } catch { return error as? StoreError }
    }

    @Test("A commit waits for its Redis replica (I4)")
    func aCommitWaitsForItsReplica() async throws {
        let (master, replica) = try await servers()
        let (store, hasty) = (try await store(master), try await store(master, patience: .milliseconds(400)))
        let session = SessionID.unique()
        let lease = try await store.started(.user("hello", in: session))
        #expect(try await store.commit(StepCommit(lease)) == .held)
        #expect(try replica.history(session).count == 2)

        let second = try await store.started(.user("again", in: session))
        replica.process.signal(SIGSTOP)
        let error = try #require(await failure { try await hasty.commit(StepCommit(second)) })
        #expect(error.code == .outcomeUnknown && error.message.contains("0 of Redis's replicas"), "\(error)")
        // Redis has executed the commit, and keeps it.
        #expect(try master.history(session).count == 4)
        replica.process.signal(SIGCONT)
        #expect(try await store.commit(StepCommit(second)) == .held)
        #expect(try master.history(session).count == 4 && replica.history(session).count == 4)
        for store in [store, hasty] { store.client.shutDown() }
        for server in [master, replica] { try await server.kill() }
    }

    /// The rule also applies to a follower on another replica, and to a result that is only stored.
    @Test("Followers get nothing final before a Redis replica has it (I4)")
    func nothingIsToldBeforeItsReplicaHasIt() async throws {
        let (master, replica) = try await servers()
        let hasty = Duration.seconds(2)
        let (store, follower) = (try await store(master, patience: hasty), try await store(master, replica: "two", patience: hasty))
        let patient = try await self.store(master, replica: "two")
        let session = SessionID.unique()
        let lease = try await store.started(.user("hello", in: session))
        #expect(await store.append(.tokens("a"), lease: lease).value == .held)
        var events = LoggedEvents(firstSequence: 2)
        events.append(.done, json: .init(string: "{}"))
        replica.process.signal(SIGSTOP)
        #expect(await failure { try await store.commit(StepCommit(lease, calls: ["a", "b"], events: events)) } != nil)
        // The follower reads the step's text without waiting.
        #expect(try await follower.log(session, afterStep: 1, sequence: 0, limit: 1).entries.count == 1)
        #expect(await failure { try await follower.log(session, afterStep: 1, sequence: 1, limit: 10) }?.code == .unavailable)
        #expect(await failure { try await follower.journal(session) }?.code == .unavailable)
        let unknown = await failure { try await follower.begin(.result(of: "a", in: session)) }
        #expect(unknown?.code == .outcomeUnknown, "\(String(describing: unknown))")
        // Other commands do not wait for the commands with `WAIT`.
        #expect(try await follower.look(session).step == 1)

        replica.process.signal(SIGCONT)
        #expect(try await patient.log(session, afterStep: 1, sequence: 1, limit: 10).entries.count == 1)
        #expect(try await patient.journal(session).lines.count == 1)
        guard case .waiting(_, 3, ["b"]) = try await patient.begin(.result(of: "a", in: session)) else {
            throw Unexpected(description: "the other call is waited for")
        }
        #expect(try replica.history(session).count == 3)
        for store in [store, follower, patient] { store.client.shutDown() }
        for server in [master, replica] { try await server.kill() }
    }

    /// Redis's replicas have long received the writes of such a step.
    @Test("Old and acknowledged steps are read without waiting")
    func whatIsOldIsReadWithoutWaiting() async throws {
        let (master, replica) = try await servers()
        let hasty = Duration.seconds(2)
        let (store, follower) = (try await store(master, patience: hasty), try await store(master, replica: "two", patience: hasty))
        func run(_ session: SessionID) async throws {
            let lease = try await store.started(.user("hello", in: session))
            var events = LoggedEvents(firstSequence: 1)
            events.append(.done, json: .init(string: "{}"))
            #expect(try await store.commit(StepCommit(lease, events: events)) == .held)
        }
        let (old, seen, fresh) = (SessionID.unique(), SessionID.unique(), SessionID.unique())
        for session in [old, seen, fresh] { try await run(session) }
        #expect(try await follower.log(seen, afterStep: 1, sequence: 0, limit: 10).entries.count == 1)
        try await replica.kill()
        let minuteAgo = (Int64(try master.lines("TIME")[0]) ?? 0) * 1000 - 61_000
        try master.cli("HSET", RedisKeys(old).state, "updated_at", "\(minuteAgo)")
        for session in [old, seen] {
            #expect(try await follower.log(session, afterStep: 1, sequence: 0, limit: 10).entries.count == 1)
        }
        #expect(try await follower.journal(old).lines.count == 1)
        // The follower waits for a new step, even if it has read an earlier step of the same
        // session.
        #expect(await failure { try await follower.log(fresh, afterStep: 1, sequence: 0, limit: 10) }?.code == .unavailable)
        #expect(await failure { try await follower.journal(fresh) }?.code == .unavailable)
        #expect(await failure { try await run(seen) } != nil)
        #expect(await failure { try await follower.log(seen, afterStep: 1, sequence: 0, limit: 10) }?.code == .unavailable)
        for store in [store, follower] { store.client.shutDown() }
        try await master.kill()
    }

    @Test("Acknowledged steps are remembered by epoch within a bound")
    func acknowledgedStepsAreRememberedByEpochWithinABound() throws {
        let steps = AcknowledgedSteps(bound: 3)
        let sessions = (0..<4).map { _ in SessionID.unique() }
        steps.note(sessions[0], epoch: "a", step: 2)
        steps.note(sessions[0], epoch: "a", step: 1)
        #expect(steps.holds(sessions[0], epoch: "a", step: 2) && steps.holds(sessions[0], epoch: "a", step: 1))
        #expect(!steps.holds(sessions[0], epoch: "a", step: 3) && !steps.holds(sessions[0], epoch: nil, step: 1))
        // A session that was deleted and begun anew counts as another session.
        #expect(!steps.holds(sessions[0], epoch: "b", step: 1))
        steps.note(sessions[0], epoch: "b", step: 1)
        #expect(!steps.holds(sessions[0], epoch: "a", step: 1) && !steps.holds(sessions[0], epoch: "b", step: 2))
        for session in sessions { steps.note(session, epoch: "a", step: 1) }
        #expect(sessions.count { steps.holds($0, epoch: "a", step: 1) } == 3)
    }
}
