import NIOCore
import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// Two or more replicas write at the same moment.
@Suite("Several replicas at one session", .tags(.redis), .serialized)
struct ConcurrentStoresTests {
    @Test("Two replicas write a thousand messages in order (I1, I2, I3)", arguments: SharedRedis.allCases)
    func twoReplicasWriteAThousandMessages(topology: SharedRedis) async throws {
        let it = try await ScriptSession(in: topology)
        let perReplica = 500
        let steps = try await within(.seconds(60), "a thousand messages") {
            try await withThrowingTaskGroup(of: [Int].self) { group in
                for name in ["one", "two"] {
                    group.addTask {
                        let store = try await it.store(replica: name, lease: .seconds(60))
                        defer { store.client.shutDown() }
                        var steps: [Int] = []
                        for index in 0..<perReplica {
                            let token = LeaseToken()
                            var lease: StepLease?
                            while lease == nil {
                                let outcome = try await store.begin(.user("\(name)-\(index)", in: it.session, token: token))
                                switch outcome {
                                case .started(let started): lease = started.lease
                                case .busy: await Task.yield()
                                default: throw RedisSessionStore.NotStarted(outcome: outcome)
                                }
                            }
                            guard let lease else { continue }
                            #expect(try await store.commit(StepCommit(lease, text: "to \(name)-\(index)")) == .held)
                            steps.append(lease.step)
                        }
                        return steps
                    }
                }
                var all: [[Int]] = []
                for try await steps in group { all.append(steps) }
                return all
            }
        }
        for own in steps { #expect(zip(own, own.dropFirst()).allSatisfy { $0 < $1 }) }
        #expect(steps.flatMap { $0 }.sorted() == Array(1...perReplica * 2))

        let dump = try await it.dump()
        try #require(dump.history.count == perReplica * 4)
        var asked: [String] = []
        for index in stride(from: 0, to: dump.history.count, by: 2) {
            let text = String(dump.history[index].dropFirst(#"{"role":"user","content":""#.count).dropLast(2))
            #expect(dump.history[index] == #"{"role":"user","content":"\#(text)"}"#)
            #expect(dump.history[index + 1] == #"{"role":"assistant","content":"to \#(text)"}"#)
            asked.append(text)
        }
        for name in ["one", "two"] {
            #expect(asked.filter { $0.hasPrefix(name) } == (0..<perReplica).map { "\(name)-\($0)" })
        }
        #expect(dump.state["status"] == "idle" && dump.state["fence"] == "\(perReplica * 2)")
        #expect(dump.ledger.count <= 256 + 1)
    }

    @Test("One of many simultaneous begins starts", arguments: SharedRedis.allCases)
    func onlyOneOfManyBeginsStarts(topology: SharedRedis) async throws {
        let redis = try await topology.configuration()
        var stores: [RedisSessionStore] = []
        for name in ["one", "two", "three"] { stores.append(try await redis.store(replica: name, lease: .seconds(60))) }
        for round in 0..<40 {
            let it = try await ScriptSession(in: topology)
            let outcomes = try await withThrowingTaskGroup(of: BeginOutcome.self) { [stores] group in
                for index in 0..<12 {
                    group.addTask { try await stores[index % 3].begin(.user("\(index)", in: it.session)) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(outcomes.count { if case .started = $0 { true } else { false } } == 1, "round \(round)")
            #expect(outcomes.count { if case .busy(1, _) = $0 { true } else { false } } == 11, "round \(round)")
            #expect(try await it.dump().history.count == 1)
        }
        for store in stores { store.client.shutDown() }
    }

    @Test("One request on many replicas is one step (I2)", arguments: SharedRedis.allCases)
    func oneRequestOnManyReplicasIsOneStep(topology: SharedRedis) async throws {
        let redis = try await topology.configuration()
        var stores: [RedisSessionStore] = []
        for name in ["one", "two", "three"] { stores.append(try await redis.store(replica: name, lease: .seconds(60))) }
        for _ in 0..<40 {
            let it = try await ScriptSession(in: topology)
            let outcomes = try await withThrowingTaskGroup(of: BeginOutcome.self) { [stores] group in
                for index in 0..<9 {
                    group.addTask {
                        var begin = BeginStep.user("hello", in: it.session)
                        begin.idempotency = BeginStep.Idempotency(key: "k", digest: "d")
                        return try await stores[index % 3].begin(begin)
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(outcomes.count { if case .started = $0 { true } else { false } } == 1)
            #expect(outcomes.count { if case .replay(1) = $0 { true } else { false } } == 8)
            #expect(try await it.dump().history == [BeginStepTests.hello])
        }
        for store in stores { store.client.shutDown() }
    }

    /// Only the later result continues the turn.
    @Test("Two simultaneous results continue the turn once (I1)", arguments: SharedRedis.allCases)
    func twoResultsAtTheSameInstantContinueOnce(topology: SharedRedis) async throws {
        let it = try await ScriptSession(in: topology)
        let one = try await it.store(replica: "one", lease: .seconds(60))
        let two = try await it.store(replica: "two", lease: .seconds(60))
        var lease = try await one.started(.user("hello", in: it.session))
        for round in 0..<200 {
            let (a, b) = ("a-\(round)", "b-\(round)")
            #expect(try await one.commit(StepCommit(lease, calls: [a, b])) == .held)
            async let first = one.begin(.result(of: a, in: it.session))
            async let second = two.begin(.result(of: b, in: it.session))
            var started: [StepLease] = []
            var waiting: [[String]] = []
            for outcome in try await [first, second] {
                switch outcome {
                case .started(let step): started.append(step.lease)
                case .waiting(lease.step, _, let open): waiting.append(open)
                default: Issue.record("round \(round): \(outcome)")
                }
            }
            try #require(started.count == 1 && waiting.count == 1, "round \(round)")
            #expect(waiting[0] == [a] || waiting[0] == [b])
            #expect(started[0].step == lease.step + 1)
            lease = started[0]
        }
        let history = try await it.dump().history.map { try JSON($0) }
        #expect(history.count == 1 + 3 * 200)
        #expect(Conversation.violation(history) == nil)
        one.client.shutDown()
        two.client.shutDown()
    }

    @Test("A step is committed or taken over, never both (I3)", arguments: SharedRedis.allCases)
    func aTakeOverRacesWithACommit(topology: SharedRedis) async throws {
        let it = try await ScriptSession(in: topology)
        let store = try await it.store(lease: .seconds(60))
        let other = ScriptSession(it, connection: try await it.redis.client().connection(for: ""))
        for round in 0..<100 {
            let lease = try await store.started(.user("\(round)", in: it.session))
            let length = try await it.command("LLEN", it.keys.history).integer ?? 0
            let token = LeaseToken().text
            // In half of the rounds each, one of the two calls begins first.
            async let commit = store.commit(StepCommit(lease, text: "answer \(round)"))
            if round % 2 == 0 { await Task.yield() }
            let takeOver = try await other.takeOver { ($0.token, $0.step, $0.force, $0.intent) = (token, lease.step, true, "cancel") }
            let after: Int64
            switch (try await commit, takeOver.name) {
            case (.held, "gone"):
                after = length + 1
            case (.lost(lease.step + 1, "cancel"), "taken"):
                after = length
                #expect(try await it.command("LLEN", it.keys.history).integer == length)
                #expect(try await it.commit(token, lease.step + 1, CommitArguments()).name == "committed")
            case (let commit, let takeOver):
                Issue.record("round \(round): \(commit), \(takeOver)")
                return
            }
            #expect(try await it.command("LLEN", it.keys.history).integer == after)
            #expect(try await it.command("HGET", it.keys.state, "status").string == "idle")
        }
        store.client.shutDown()
    }
}
