import RedisClient
import TestSupport
import Testing

@testable import SessionStore

@Suite("take_over", .tags(.redis), .serialized)
struct TakeOverTests {
    @Test("A step with an expired lease runs again (I6)")
    func aStepWhoseLeaseHasRunOutIsRunAgain() async throws {
        let (it, old) = try await ScriptSession.running {
            ($0.lease, $0.model, $0.tools, $0.metadata, $0.onDisconnect) = (1, "m", "[]", "{}", "cancel")
            $0.slot = "- 0 /*key"
        }
        var answer: ScriptAnswer?
        let token = LeaseToken().text
        try await eventually("the lease runs out") {
            answer = try await it.takeOver { ($0.token, $0.lease) = (token, 8_000) }
            return answer?.name == "taken"
        }
        let taken = try #require(answer)
        let epoch = old.prefix(12)
        let bytes = BeginStepTests.hello.utf8.count
        #expect(taken.line == "taken 2 1 replica-1 run \(epoch) 1 m [] {} cancel \(bytes) [] 1 nonc 0 [] - 0 /*key  0")
        let dump = try await it.dump()
        #expect(
            dump.state.filter { $0.key != "created_at" } == [
                "status": "running", "fence": "2", "token": token, "nonce": "take", "owner": "replica-2",
                "lease_until": "\(taken.now + 8_000)", "attempt": "2", "intent": "", "epoch": "\(epoch)", "model": "m", "tools": "[]",
                "metadata": "{}", "on_disconnect": "cancel", "updated_at": "\(taken.now)", "replaces": "1", "origin": "1",
                "previous_owner": "replica-1", "history_bytes": "\(bytes)", "last_role": "user", "turn": "1", "rejected": "",
                "slot": "1 - 0 /*key", "run": "2 process-2 0", "lost": "1 process-1 0", "chain": "1 nonc",
            ])
        #expect(dump.ledger == ["t:\(old)": "1 begun", "t:\(token)": "2 begun"])
        #expect(dump.history == [BeginStepTests.hello])
        #expect(
            dump.events.last
                == SessionDump.Entry(
                    id: "2-0",
                    fields: [
                        "nonce", "take", "owner", "replica-2", "replaces", "1", "restart",
                        #"{"type":"restart","step":2,"replaces":1,"reason":"replica_lost"}"#,
                    ]))
        try await it.refused("lost 2 ") { try await it.append(old, 1, lastSequence: 1, ["token", "a"]) }
        #expect(try await it.commit(token, 2).line == "committed 2")
    }

    @Test("A living step is left alone")
    func aLivingStepIsLeftAlone() async throws {
        let (it, _) = try await ScriptSession.running { $0.lease = 50_000 }
        let before = try await it.dump()
        let answer = try await it.takeOver()
        #expect(answer.name == "alive" && answer.step == 1)
        let left = try #require(answer.reply[3]?.integer)
        #expect(left > 0 && left <= 50_000)
        #expect(try await it.dump() == before)
    }

    /// A cancel that arrives late must not cancel the next step.
    @Test("Only the named step is taken")
    func onlyTheStepThatIsMeantIsTaken() async throws {
        let (it, token) = try await ScriptSession.running()
        func forced(_ step: Int) async throws -> ScriptAnswer {
            try await it.takeOver { ($0.step, $0.force, $0.intent) = (step, true, "cancel") }
        }
        try await it.refused("gone 1") { try await forced(2) }
        try await it.refused("gone 1") { try await forced(0) }
        _ = try await it.commit(token, 1)
        try await it.refused("gone 1") { try await forced(1) }
        _ = try await it.begin()
        try await it.refused("gone 2") { try await forced(1) }
        let none = try await ScriptSession()
        try await none.refused("gone 0") { try await none.takeOver { $0.force = true } }
        let waiting = try await ScriptSession.waiting(for: "a")
        try await waiting.refused("gone 1") { try await waiting.takeOver { $0.force = true } }
    }

    @Test("A cancel preempts a living step without a restart")
    func aCancelSeizesALivingStepWithoutARestart() async throws {
        let (it, _) = try await ScriptSession.running()
        let token = LeaseToken().text
        let answer = try await it.takeOver { ($0.token, $0.force, $0.intent) = (token, true, "cancel") }
        #expect(answer.fields(0...3) == ["2", "1", "replica-1", "cancel"])
        let dump = try await it.dump()
        #expect(dump.state["intent"] == "cancel" && dump.state["attempt"] == "1")
        #expect(dump.events.last?.fields == ["nonce", "take", "owner", "replica-2", "replaces", "1"])
        _ = try await it.commit(token, 2, CommitArguments())
        #expect(try await it.dump().state["intent"] == "")
    }

    /// The next owner finishes the cancel, and does not run the step again.
    @Test("A cancel's intent stays with the step")
    func anIntentStaysWithTheStep() async throws {
        let (it, _) = try await ScriptSession.running()
        let first = LeaseToken().text
        _ = try await it.takeOver { ($0.token, $0.force, $0.intent) = (first, true, "cancel") }
        _ = try await it.release(first)
        let answer = try await it.takeOver { ($0.step, $0.owner) = (2, "replica-3") }
        #expect(answer.fields(0...3) == ["3", "2", "replica-2", "cancel"])
        #expect(try await it.dump().events.last?.fields.contains("restart") == false)
        #expect(try await it.dump().state["intent"] == "cancel")
    }

    @Test("The same token takes a step once")
    func theSameTokenTakesOnce() async throws {
        let (it, _) = try await ScriptSession.running()
        let token = LeaseToken().text
        func take() async throws -> ScriptAnswer { try await it.takeOver { ($0.token, $0.force, $0.intent) = (token, true, "cancel") } }
        let first = try await take()
        #expect(first.name == "taken")
        try await it.repeated(first.line) { try await take() }
        _ = try await it.commit(token, 2)
        try await it.refused("gone 2") { try await take() }
    }

    @Test("A step fails after three attempts (I6)")
    func attemptsAreCounted() async throws {
        let (it, _) = try await ScriptSession.running()
        var actions: [String?] = []
        var restarts: [Bool] = []
        for step in 1...4 {
            actions.append(try await it.takeOver { ($0.step, $0.force) = (step, true) }.fields(3...3).first)
            restarts.append(try await it.dump().events.last?.fields.contains("restart") == true)
        }
        #expect(actions == ["run", "run", "fail", "fail"])
        #expect(restarts == [true, true, false, false])
    }

    @Test("A released step uses up no attempts")
    func aDrainingReplicasStepDoesNotUseUpAttempts() async throws {
        let (it, first) = try await ScriptSession.running()
        var token = first
        for step in 1...6 {
            #expect(try await it.release(token).line == "released")
            let next = LeaseToken().text
            let answer = try await it.takeOver { ($0.token, $0.step) = (next, step) }
            #expect(answer.fields(3...3).first == "run")
            token = next
            #expect(try await it.dump().state["attempt"] == "1")
        }
    }

    @Test("A commit resets the count of attempts")
    func aCommittedStepStartsCountingAnew() async throws {
        let (it, _) = try await ScriptSession.running()
        let token = LeaseToken().text
        _ = try await it.takeOver { ($0.token, $0.force) = (token, true) }
        _ = try await it.commit(token, 2)
        _ = try await it.begin()
        #expect(try await it.dump().state["attempt"] == "1")
    }

    /// The owner learns at once what its next append would tell it.
    @Test("The former owner is notified", arguments: [true, false])
    func theFormerOwnerIsTold(isForced: Bool) async throws {
        let owner = "replica-\(SessionID.unique())"
        let (it, token) = try await ScriptSession.running { $0.owner = owner }
        let listener = try await ChannelListener(RedisKeyspace.standard.replica(owner), on: it.redis)
        if !isForced { _ = try await it.release(token) }
        // A takeover that failed notifies no replica.
        _ = try await it.takeOver { $0.step = 7 }
        _ = try await it.takeOver { $0.force = isForced }
        #expect(try await listener.heard(until: "\(it.session) 1") == ["\(it.session) 1"])
    }

    @Test("The log keeps the current step, the last two and all replaced steps (I5)")
    func theLogKeepsThreeSteps() async throws {
        let (it, token) = try await ScriptSession.running()
        _ = try await it.append(token, 1, lastSequence: 2, ["token", "a", "token", "b"])
        for step in 1...5 {
            _ = try await it.takeOver { ($0.step, $0.force) = (step, true) }
            #expect(try await it.dump().state["origin"] == "1")
            let steps = Set(try await it.dump().events.compactMap { Int($0.id.prefix { $0 != "-" }) })
            #expect(steps == Set(1...(step + 1)))
        }
        _ = try await it.takeOver { ($0.token, $0.step, $0.force) = (token, 6, true) }
        _ = try await it.commit(token, 7)
        _ = try await it.begin { $0.token = "next" }
        #expect(try await it.dump().events.map(\.id) == ["6-0", "7-0", "8-0"])
        _ = try await it.takeOver { ($0.token, $0.step, $0.force) = ("last", 8, true) }
        #expect(try await it.dump().state["origin"] == "8")
        #expect(try await it.dump().events.map(\.id) == ["7-0", "8-0", "9-0"])
    }
}
