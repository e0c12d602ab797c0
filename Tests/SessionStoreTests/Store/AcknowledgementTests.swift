import Foundation
import NIOCore
import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// I4: nobody is told of what too few of Redis's replicas have.
@Suite(.timeLimit(.minutes(2))) struct AcknowledgementTests {
    /// A master, and a replica that can be stopped.
    private func servers() async throws -> (master: RedisServer, replica: RedisServer) {
        let master = try await RedisServer.start(["--repl-diskless-sync-delay", "0"])
        let replica = try await RedisServer.start(["--replicaof", "127.0.0.1", "\(master.port)"])
        try await eventually("the replica follows") { try replica.cli("INFO", "replication").contains("master_link_status:up") }
        return (master, replica)
    }

    /// - Parameter patience: Short where it is to run out, long where something is to come.
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

    @Test func aCommitWaitsForItsReplica() async throws {
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
        // It was made, and stays.
        #expect(try master.history(session).count == 4)
        replica.process.signal(SIGCONT)
        #expect(try await store.commit(StepCommit(second)) == .held)
        #expect(try master.history(session).count == 4 && replica.history(session).count == 4)
        for store in [store, hasty] { store.client.shutDown() }
        for server in [master, replica] { try await server.kill() }
    }

    /// A follower on another replica is not told either, and a result that is merely stored is not answered.
    @Test func nothingIsToldBeforeItsReplicaHasIt() async throws {
        let (master, replica) = try await servers()
        let hasty = Duration.milliseconds(400)
        let (store, follower) = (try await store(master, patience: hasty), try await store(master, replica: "two", patience: hasty))
        let patient = try await self.store(master, replica: "two")
        let session = SessionID.unique()
        let lease = try await store.started(.user("hello", in: session))
        #expect(await store.append(.tokens("a"), lease: lease).value == .held)
        var events = LoggedEvents(firstSequence: 2)
        events.append(.done, json: .init(string: "{}"))
        replica.process.signal(SIGSTOP)
        #expect(await failure { try await store.commit(StepCommit(lease, calls: ["a", "b"], events: events)) } != nil)
        // Its tokens are read without waiting.
        #expect(try await follower.log(session, afterStep: 1, sequence: 0, limit: 1).entries.count == 1)
        #expect(await failure { try await follower.log(session, afterStep: 1, sequence: 1, limit: 10) }?.code == .unavailable)
        #expect(await failure { try await follower.journal(session) }?.code == .unavailable)
        let unknown = await failure { try await follower.begin(.result(of: "a", in: session)) }
        #expect(unknown?.code == .outcomeUnknown, "\(String(describing: unknown))")
        // Other commands do not stand behind those that wait.
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

    /// A step that ended long ago, or that was read with its acknowledgement before, is read
    /// without waiting: it keeps nothing back that could still come.
    @Test func whatIsOldIsReadWithoutWaiting() async throws {
        let (master, replica) = try await servers()
        let hasty = Duration.milliseconds(400)
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
        // A new step is kept back, also one of a session whose earlier step was read.
        #expect(await failure { try await follower.log(fresh, afterStep: 1, sequence: 0, limit: 10) }?.code == .unavailable)
        #expect(await failure { try await follower.journal(fresh) }?.code == .unavailable)
        #expect(await failure { try await run(seen) } != nil)
        #expect(await failure { try await follower.log(seen, afterStep: 1, sequence: 0, limit: 10) }?.code == .unavailable)
        for store in [store, follower] { store.client.shutDown() }
        try await master.kill()
    }

    @Test func acknowledgedStepsAreRememberedByEpochWithinABound() throws {
        let steps = AcknowledgedSteps(bound: 3)
        let sessions = (0..<4).map { _ in SessionID.unique() }
        steps.note(sessions[0], epoch: "a", step: 2)
        steps.note(sessions[0], epoch: "a", step: 1)
        #expect(steps.holds(sessions[0], epoch: "a", step: 2) && steps.holds(sessions[0], epoch: "a", step: 1))
        #expect(!steps.holds(sessions[0], epoch: "a", step: 3) && !steps.holds(sessions[0], epoch: nil, step: 1))
        // A session that was deleted and begun again is another one.
        #expect(!steps.holds(sessions[0], epoch: "b", step: 1))
        steps.note(sessions[0], epoch: "b", step: 1)
        #expect(!steps.holds(sessions[0], epoch: "a", step: 1) && !steps.holds(sessions[0], epoch: "b", step: 2))
        for session in sessions { steps.note(session, epoch: "a", step: 1) }
        #expect(sessions.count { steps.holds($0, epoch: "a", step: 1) } == 3)
    }
}
