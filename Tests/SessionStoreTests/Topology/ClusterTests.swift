import Foundation
import Locks
import NIOPosix
import RedisClient
import TestSupport
import Testing

@testable import SessionStore

private final class Told: Sendable {
    let text = Guarded<String?>(nil)
}

/// The cluster runs on loopback.
@Suite("A real cluster", .tags(.processes), .serialized, .timeLimit(.minutes(4)))
struct ClusterTests {
    /// Returns a session whose slot this node serves.
    /// - Parameter hintElsewhere: A node that must not have the session's hint.
    private func session(on node: RedisServer, of cluster: RedisCluster, hintElsewhere other: RedisServer? = nil) throws -> SessionID {
        while true {
            let session = SessionID.unique()
            let keys = RedisKeys(session)
            guard try cluster.master(of: keys.state).port == node.port else { continue }
            if let other, try cluster.master(of: keys.running).port == other.port { continue }
            return session
        }
    }

    @Test("Sessions are spread over the nodes, and every store call works")
    func sessionsAreSpreadOverTheNodes() async throws {
        let cluster = try await RedisCluster.start()
        let store = try await cluster.configuration().store()
        #expect(store.isReady && store.publish == "SPUBLISH")
        for node in cluster.nodes {
            let session = try session(on: node, of: cluster)
            let lease = try await store.started(.user("hello", in: session))
            #expect(await store.append(.tokens("a", "b"), lease: lease).value == .held)
            #expect(try await store.commit(StepCommit(lease, calls: ["c1", "c2"], events: .tokens("c", from: 3))) == .held)
            guard case .waiting(_, _, let open) = try await store.begin(.result(of: "c1", in: session)) else {
                throw Unexpected(description: "the other call is waited for")
            }
            #expect(open == ["c2"])
            let second = try await store.started(.result(of: "c2", in: session))
            #expect(try await store.release(second) == .held)
            guard case .taken(let taken) = try await store.takeOver(TakeOver(session: session, step: second.step, reason: .lost)) else {
                throw Unexpected(description: "a released step can be taken")
            }
            #expect(try await store.commit(StepCommit(taken.started.lease)) == .held)
            #expect(try await store.state(session)?.historyLength == 5)
            #expect(try await store.history(session, offset: 1, limit: 2)?.messages.count == 2)
            #expect(try await store.log(session, afterStep: 1, sequence: 0, limit: 10).entries.isEmpty == false)
            #expect(try cluster.history(session).count == 5)
            #expect(try Int(node.cli("DBSIZE")) ?? 0 > 0)
        }
        try await eventually("all are listed") { try await store.list(after: nil, limit: 10).sessions.count == 3 }
        for summary in try await store.list(after: nil, limit: 10).sessions { #expect(try await store.delete(summary.session)) }
        #expect(try await store.list(after: nil, limit: 10).sessions.isEmpty)
        store.client.shutDown()
        try await cluster.stop()
    }

    @Test("Sweepers find lost steps on every node")
    func lostStepsAreFoundOnEveryNode() async throws {
        let cluster = try await RedisCluster.start()
        let store = try await cluster.configuration().store(lease: .milliseconds(100))
        let sessions = try cluster.nodes.map { try session(on: $0, of: cluster) }
        for session in sessions { _ = try await store.started(.user("hello", in: session)) }
        var found: Set<SessionID> = []
        try await eventually("all are found") {
            for bucket in 0..<RedisKeyspace.bucketCount {
                found.formUnion(try await store.orphans(bucket: bucket, limit: 100).orphans.map(\.session))
            }
            return found == Set(sessions)
        }
        store.client.shutDown()
        try await cluster.stop()
    }

    /// The client follows `MOVED` at once, and sends the next command directly to the right node.
    @Test("A moved slot is followed and remembered")
    func aSlotThatHasMovedIsFollowed() async throws {
        let cluster = try await RedisCluster.start()
        let store = try await cluster.configuration().store()
        let (source, target) = (cluster.nodes[0], cluster.nodes[1])
        let session = try session(on: source, of: cluster)
        let slot = ClusterSlots.slot(of: RedisKeys(session).prefix)
        let lease = try await store.started(.user("hello", in: session))
        #expect(await store.append(.tokens("a"), lease: lease).value == .held)
        try await cluster.move(slot: slot, from: source, to: target)
        #expect(await store.append(.tokens("b", from: 2), lease: lease).value == .held)
        try source.cli("CONFIG", "RESETSTAT")
        #expect(try await store.commit(StepCommit(lease, events: .tokens("c", from: 3))) == .held)
        #expect(try await store.look(session).step == 1)
        #expect(try !source.cli("INFO", "commandstats").contains("evalsha"))
        #expect(try target.history(session).count == 2)
        store.client.shutDown()
        try await cluster.stop()
    }

    /// While a slot moves, calls wait (`TRYAGAIN`) if the session's keys are on both nodes, or if
    /// some keys do not exist. A read of a single key goes to the key's node (`ASK`).
    @Test("Commands wait for a slot that is moving")
    func aSlotThatIsOnItsWayIsWaitedFor() async throws {
        let cluster = try await RedisCluster.start()
        let store = try await cluster.configuration().store(lease: .seconds(20))
        let (source, target) = (cluster.nodes[0], cluster.nodes[1])
        let session = try session(on: source, of: cluster)
        let keys = RedisKeys(session)
        let slot = ClusterSlots.slot(of: keys.prefix)
        let lease = try await store.started(.user("hello", in: session))
        var commit: Task<LeaseAnswer, any Error>?
        try await cluster.move(slot: slot, from: source, to: target) {
            try source.cli("MIGRATE", "127.0.0.1", "\(target.port)", keys.history, "0", "5000")
            // One key has already moved.
            #expect(try await store.history(session, offset: 0, limit: 10)?.length == 1)
            let redirected = await store.append(.tokens("a"), lease: lease).failure
            #expect(
                redirected?.code == .unavailable && redirected?.message.contains("TRYAGAIN") == true, "\(String(describing: redirected))")
            // This call waits until the whole slot has moved.
            commit = Task { try await store.commit(StepCommit(lease)) }
            try await eventually("it was refused") { try source.cli("INFO", "errorstats").contains("errorstat_TRYAGAIN:count=2") }
        }
        #expect(try await commit?.value(within: .seconds(20), "the commit is made") == .held)
        #expect(try cluster.history(session).count == 2)
        store.client.shutDown()
        try await cluster.stop()
    }

    @Test("Slots move under load without loss")
    func slotsMoveUnderLoad() async throws {
        let cluster = try await RedisCluster.start()
        let store = try await cluster.configuration().store(lease: .seconds(2))
        let traffic = Traffic(store, sessions: 12)
        try await traffic.run {
            try await eventually("turns run") { traffic.sessions.allSatisfy { traffic.count(of: $0) > 2 } }
            for session in traffic.sessions {
                let slot = ClusterSlots.slot(of: RedisKeys(session).prefix)
                let source = try cluster.master(of: RedisKeys(session).state)
                let target = try #require(cluster.nodes.first { $0.port != source.port })
                let before = traffic.count(of: session)
                try await cluster.move(slot: slot, from: source, to: target)
                try await eventually("turns go on in \(session): \(traffic.failures)") { traffic.count(of: session) > before + 2 }
            }
        }
        try await traffic.check()
        store.client.shutDown()
        try await cluster.stop()
    }

    /// Each of the three masters has a replica. One replica takes over on request, and the test
    /// kills one master.
    @Test("Masters fail over under load")
    func mastersFailOverUnderLoad() async throws {
        let cluster = try await RedisCluster.start(replicas: 1)
        let store = try await cluster.configuration().store(lease: .seconds(1))
        let traffic = Traffic(store, sessions: 12)
        try await traffic.run {
            try await eventually("turns run") { traffic.sessions.allSatisfy { traffic.count(of: $0) > 2 } }
            let replica = try #require(try cluster.nodes.first { try $0.cli("ROLE").hasPrefix("slave") })
            try replica.cli("CLUSTER", "FAILOVER")
            try await eventually("it is a master", timeout: .seconds(30)) { try replica.cli("ROLE").hasPrefix("master") }
            var before = traffic.sessions.map { traffic.count(of: $0) }
            try await eventually("turns go on everywhere: \(traffic.failures)", timeout: .seconds(60)) {
                zip(traffic.sessions, before).allSatisfy { traffic.count(of: $0) > $1 + 2 }
            }
            let victim = try #require(try cluster.nodes.first { try $0.port != replica.port && $0.cli("ROLE").hasPrefix("master") })
            try await victim.kill()
            before = traffic.sessions.map { traffic.count(of: $0) }
            try await eventually("turns go on everywhere: \(traffic.failures)", timeout: .seconds(60)) {
                zip(traffic.sessions, before).allSatisfy { traffic.count(of: $0) > $1 + 2 }
            }
        }
        // The loss of a master loses the writes that its replica did not have.
        try await traffic.check(losesNothing: false)
        store.client.shutDown()
        try await cluster.stop()
    }

    /// A Cluster without some of its slots serves no commands. Calls fail within their time limits,
    /// and work again when the node returns.
    @Test("A cluster that is down is awaited within bounds")
    func aClusterThatIsDownIsWaitedForWithinBounds() async throws {
        let cluster = try await RedisCluster.start()
        let store = try await cluster.configuration().store { $0.retryPatience = .milliseconds(500) }
        let lost = cluster.nodes[2]
        let session = try session(on: cluster.nodes[0], of: cluster, hintElsewhere: lost)
        let lease = try await store.started(.user("hello", in: session))
        lost.process.signal(SIGSTOP)
        try await eventually("the others know", timeout: .seconds(30)) {
            try cluster.nodes[0].cli("CLUSTER", "INFO").contains("state:fail")
        }
        let begun = ContinuousClock.now
        do {
            _ = try await store.begin(.user("hello", in: session))
            Issue.record("nothing is taken")
        } catch {
            #expect(error.code == .unavailable && error.message.contains("CLUSTERDOWN"), "\(error)")
        }
        #expect(ContinuousClock.now - begun < .seconds(5))
        try await eventually("the store knows", timeout: .seconds(30)) { !store.isReady }
        // A commit waits longer.
        let commit = Task { try await store.commit(StepCommit(lease)) }
        lost.process.signal(SIGCONT)
        #expect(try await commit.value(within: .seconds(30), "the commit is made") == .held)
        try await eventually("the store knows", timeout: .seconds(30)) { store.isReady }
        store.client.shutDown()
        try await cluster.stop()
    }

    /// The client asks a node that only redirects for the table of slots once. It opens no
    /// connection to a node that has left.
    @Test("A cluster is found from one of its nodes")
    func aClusterIsFoundFromOneOfItsNodes() async throws {
        let cluster = try await RedisCluster.start()
        let seed = RedisConfiguration.Address.tcp(host: "127.0.0.1", port: cluster.nodes[1].port)
        var configuration = RedisConfiguration(seed)
        // One node does not reply, and one name is in no table.
        configuration.topology = .cluster(seeds: [
            .tcp(host: "127.0.0.1", port: try freePort()), .tcp(host: "localhost", port: cluster.nodes[1].port),
        ])
        let client = try await configuration.client()
        for node in cluster.nodes {
            let key = RedisKeys(try session(on: node, of: cluster)).state
            #expect(try await client.route(for: key).send(RedisCommand("HSET", key, "f", "v")).integer == 1)
            #expect(try node.cli("HGET", key, "f") == "v")
        }
        client.shutDown()
        try await eventually("no connection is left") {
            try cluster.nodes.allSatisfy { try !$0.cli("CLIENT", "LIST").contains("name=agent-runtime") }
        }
        try await cluster.stop()
    }

    /// The slot is marked as moving for a long time. All keys of a session of layout 2 exist, so
    /// that its node serves it until the first key moves.
    @Test("A session is served while its slot is marked as moving")
    func aSessionIsServedWhileItsSlotIsAboutToMove() async throws {
        let cluster = try await RedisCluster.start()
        let store = try await cluster.configuration().store {
            $0.layout = 2
            ($0.retryPatience, $0.commitPatience) = (.milliseconds(300), .milliseconds(300))
        }
        let (source, target) = (cluster.nodes[0], cluster.nodes[1])
        let session = try session(on: source, of: cluster)
        let slot = ClusterSlots.slot(of: RedisKeys(session).state)
        _ = try await store.commit(StepCommit(try await store.started(.user("hello", in: session)), calls: ["a", "b"]))
        try target.cli("CLUSTER", "SETSLOT", "\(slot)", "IMPORTING", source.cli("CLUSTER", "MYID"))
        try source.cli("CLUSTER", "SETSLOT", "\(slot)", "MIGRATING", target.cli("CLUSTER", "MYID"))
        guard case .waiting = try await store.begin(.result(of: "a", in: session)) else {
            Issue.record("it is not stored")
            return
        }
        let lease = try await store.started(.result(of: "b", in: session))
        #expect(try await store.release(lease) == .held)
        let next = try await store.taken(lease)
        #expect(await store.append(.tokens("x"), lease: next).value == .held)
        #expect(try await store.commit(StepCommit(next)) == .held)
        #expect(try await store.rewind(session, to: 1) == .rewound(historyLength: 1, step: 4))
        #expect(try await store.delete(session))
        store.client.shutDown()
        try await cluster.stop()
    }

    /// Wake-ups are sharded: they go to one node only.
    @Test("Wake-ups follow their slot")
    func wakeUpsFollowTheirSlot() async throws {
        let cluster = try await RedisCluster.start()
        let (listening, writing) = (
            try await cluster.configuration().store(), try await cluster.configuration().store(replica: "replica-2")
        )
        let (source, target) = (cluster.nodes[0], cluster.nodes[1])
        let session = try session(on: source, of: cluster)
        let wake = RedisKeys(session).wake
        let wakes = listening.wakes(of: session)
        func listeners(_ node: RedisServer) throws -> Bool { try node.lines("PUBSUB", "SHARDNUMSUB", wake).last == "1" }
        try await eventually("it is subscribed to") { try listeners(source) }
        let lease = try await writing.started(.user("hello", in: session))
        try await within(.seconds(20), "a wake-up") { await wakes.next(timeout: .seconds(30)) }
        try await cluster.move(slot: ClusterSlots.slot(of: wake), from: source, to: target)
        try await eventually("it is subscribed to at the new node") { try listeners(target) }
        #expect(try !listeners(source))
        // The new subscription has signalled once, and the test has received that signal.
        await wakes.next(timeout: .milliseconds(300))
        await wakes.next(timeout: .milliseconds(300))
        let begun = ContinuousClock.now
        #expect(try await writing.commit(StepCommit(lease)) == .held)
        await wakes.next(timeout: .seconds(20))
        #expect(ContinuousClock.now - begun < .seconds(10))

        // Any node can notify a replica about its steps.
        let told = Told()
        let subscription = listening.messagesToReplica { if case .message(let text) = $0 { told.text.withLock { $0 = text } } }
        try await eventually("it is subscribed to") {
            try cluster.nodes.contains { try $0.lines("PUBSUB", "NUMSUB", RedisKeyspace.standard.replica("replica-1")).last == "1" }
        }
        let own = try await listening.started(.user("again", in: session))
        _ = try await writing.takeOver(TakeOver(session: session, step: own.step, reason: .cancel))
        try await eventually("it is told") { told.text.withLock { $0 } == "\(session) \(own.step)" }
        subscription.cancel()
        for store in [listening, writing] { store.client.shutDown() }
        try await cluster.stop()
    }

    /// The test reads all commands of a conversation.
    @Test("No command of a turn touches two slots")
    func noCommandTouchesTwoSlots() async throws {
        let redis = try await RedisServer.start()
        let monitor = try ChildProcess("redis-cli", ["-s", redis.socket, "MONITOR"], directory: redis.directory)
        try await eventually("it is watched") { monitor.log.contains("OK") }
        // A single server accepts every command. It gets the same commands as a Cluster, except
        // that the hint shares a write.
        let store = try await redis.store(lease: .milliseconds(50))
        let session = SessionID.unique()
        let lease = try await store.started(.user("hello", in: session))
        _ = await store.append(.tokens("a"), lease: lease)
        store.moveHint(session, on: store.route(for: session))
        _ = try await store.commit(StepCommit(lease, calls: ["c1"]))
        let next = try await store.started(.result(of: "c1", in: session))
        _ = try await store.log(session, afterStep: 1, sequence: 0, openingOf: 1, limit: 10)
        _ = try await store.release(next)
        _ = try await store.takeOver(TakeOver(session: session, step: next.step, reason: .lost))
        _ = try await store.state(session)
        _ = try await store.history(session, offset: 0, limit: 5)
        _ = try await store.list(after: nil, limit: 5)
        for bucket in 0..<RedisKeyspace.bucketCount { _ = try await store.orphans(bucket: bucket, limit: 5) }
        _ = try await store.loggedText(of: lease, step: 1)
        _ = try await store.journal(session)
        _ = try await store.rewind(session, to: 1)
        _ = try await store.delete(session)
        _ = try await store.establishLayout()
        try await store.announce()
        _ = try await store.replicas()
        _ = try await store.claimQuarantine(session, step: 1)
        try redis.cli("ECHO", "the end")
        try await eventually("all is seen") { monitor.log.contains("the end") }

        // Matches lines such as `1735689600.123456 [0 unix:/…] "EVALSHA" "…" …`; commands of
        // scripts are marked `lua`.
        let commands = monitor.log.split(separator: "\n").filter { $0.contains("] \"") && !$0.contains(" lua] ") }.map { line in
            line.matches(of: /"((?:[^"\\]|\\.)*)"/).map { String($0.output.1) }
        }
        #expect(commands.count { $0.first?.uppercased() == "EVALSHA" } >= 7)
        var keyed = 0
        for command in commands
        where !["MULTI", "EXEC", "TIME", "PING", "ECHO", "CLIENT", "SUBSCRIBE", "AUTH"].contains(command[0].uppercased()) {
            let keys = try redis.lines(["COMMAND", "GETKEYS"] + command)
            keyed += 1
            #expect(Set(keys.map { ClusterSlots.slot(of: $0) }).count == 1, "\(command.prefix(3)): \(keys)")
        }
        #expect(keyed > 40)
        store.client.shutDown()
        try await redis.kill()
    }
}
