import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// Limits of accounts, over all replicas and in every topology.
@Suite("Limits of accounts", .tags(.redis), .serialized)
struct LimitTests: LimitSuite {
    // MARK: Begin and end

    @Test("As many steps of an account run on all replicas as may", arguments: SharedRedis.allCases)
    func streams(topology: SharedRedis) async throws {
        let account = try Account.unique(UsageLimits(streams: 2))
        let (one, two) = (try await store(topology), try await store(topology))
        let first = try await one.started(.user("a", in: .unique()).counted(for: account))
        let second = try await two.started(.user("b", in: .unique()).counted(for: account))
        let session = SessionID.unique()
        let outcome = try await two.begin(.user("c", in: session).counted(for: account))
        guard case .limited(LimitRefusal(limit: .streams, quota: 2, retryAfter: .seconds(1))) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(try await one.state(session) == nil, "a refused request creates no session")
        #expect(try await one.commit(StepCommit(first)) == .held)
        try await eventually("the slot is free") { try await one.slots(of: account).count == 1 }
        let third = try await one.started(.user("c", in: session).counted(for: account))
        for lease in [second, third] { #expect(try await two.commit(StepCommit(lease)) == .held) }
        try await eventually("all slots are free") { try await one.slots(of: account).isEmpty }
    }

    @Test("Used tokens take the place of the reserve", arguments: SharedRedis.allCases)
    func usedTokensTakeThePlaceOfTheReserve(topology: SharedRedis) async throws {
        let account = try Account.unique(UsageLimits(tokensPerMinute: 600, tokensPerDay: 5000))
        let store = try await store(topology)
        let lease = try await store.started(.user("a", in: .unique()).counted(for: account))
        #expect(try await store.tokensOfDay(of: account) == "500")
        #expect(try await limit(store.begin(.user("b", in: .unique()).counted(for: account))) == .tokens)
        #expect(try await store.commit(StepCommit(lease)) == .held)
        // Three tokens of the prompt, four of the completion.
        try await eventually("it is settled") { try await store.tokensOfDay(of: account) == "7" }
        let next = try await store.started(.user("b", in: .unique()).counted(for: account))
        var commit = StepCommit(next)
        commit.hasUsage = false
        #expect(try await store.commit(commit) == .held)
        try await eventually("its slot is free") { try await store.slots(of: account).isEmpty }
        #expect(try await store.tokensOfDay(of: account) == "507", "tokens that no model counted cost the reserve")
    }

    @Test("A reserve is no larger than the limits")
    func aReserveIsNoLargerThanTheLimits() async throws {
        let account = try Account.unique(UsageLimits(tokensPerDay: 100))
        let store = try await store()
        _ = try await store.started(.user("a", in: .unique()).counted(for: account))
        #expect(try await store.tokensOfDay(of: account) == "100")
        #expect(try await limit(store.begin(.user("b", in: .unique()).counted(for: account))) == .day)
    }

    @Test("If the second account refuses, the first gets everything back", arguments: SharedRedis.allCases)
    func ifTheSecondAccountRefuses(topology: SharedRedis) async throws {
        let key = try Account.unique(UsageLimits(streams: 5, requestsPerMinute: 1, tokensPerDay: 10_000))
        let user = try Account.unique(UsageLimits(streams: 1))
        let store = try await store(topology)
        let lease = try await store.started(.user("a", in: .unique()).counted(for: user))
        #expect(try await limit(store.begin(.user("b", in: .unique()).counted(for: key, user))) == .streams)
        try await eventually("it is back") { try await store.holds(key, slots: 0, tokens: 0) }
        #expect(try await store.commit(StepCommit(lease)) == .held)
        try await eventually("the slot is free") { try await store.slots(of: user).isEmpty }
        // The key's only request of a minute is left.
        _ = try await store.started(.user("b", in: .unique()).counted(for: key, user))
        #expect(try await limit(store.begin(.user("c", in: .unique()).counted(for: key))) == .requests)
    }

    // MARK: Requests that begin no step

    @Test("A request that begins no step costs nothing", arguments: SharedRedis.allCases)
    func aRequestThatBeginsNoStep(topology: SharedRedis) async throws {
        let account = try Account.unique(UsageLimits(streams: 2, requestsPerMinute: 2, tokensPerDay: 10_000))
        let store = try await store(topology)
        let session = SessionID.unique()
        var keyed = BeginStep.user("a", in: session).counted(for: account)
        keyed.idempotency = .init(key: "k", digest: "d")
        let lease = try await store.started(keyed)
        keyed.token = LeaseToken()
        for _ in 0..<3 {
            guard case .busy = try await store.begin(.user("b", in: session).counted(for: account)) else {
                Issue.record("not busy")
                return
            }
            guard case .replay(1) = try await store.begin(keyed) else {
                Issue.record("not replayed")
                return
            }
            try await eventually("it is back") { try await store.slots(of: account).count == 1 }
            #expect(try await store.tokensOfDay(of: account) == "500")
        }
        #expect(try await store.commit(StepCommit(lease, calls: ["a", "b"])) == .held)
        for _ in 0..<3 {
            guard case .waiting(1, _, ["b"]) = try await store.begin(.result(of: "a", in: session).counted(for: account)) else {
                Issue.record("not waiting")
                return
            }
            guard case .refused(.unknownCall, _) = try await store.begin(.result(of: "z", in: session).counted(for: account)) else {
                Issue.record("not refused")
                return
            }
        }
        try await eventually("it is back") { try await store.holds(account, slots: 0, tokens: 7) }
        // The second request of the minute.
        _ = try await store.started(.result(of: "b", in: session).counted(for: account))
    }

    /// A client whose step has the only slot sends its request again.
    @Test("Limits refuse only requests that would begin a step")
    func limitsRefuseOnlySteps() async throws {
        let account = try Account.unique(UsageLimits(streams: 1))
        let store = try await store()
        let (session, other) = (SessionID.unique(), SessionID.unique())
        _ = try await store.commit(
            StepCommit(try await store.started(.user("a", in: other).counted(for: account)), calls: ["a", "b"]))
        try await eventually("the slot is free") { try await store.slots(of: account).isEmpty }
        var keyed = BeginStep.user("a", in: session).counted(for: account)
        keyed.idempotency = .init(key: "k", digest: "d")
        let lease = try await store.started(keyed)
        keyed.token = LeaseToken()
        guard case .replay(1) = try await store.begin(keyed) else {
            Issue.record("not replayed")
            return
        }
        var interrupting = BeginStep.user("b", in: session).counted(for: account)
        #expect(try await limit(store.begin(interrupting)) == .streams)
        interrupting.interrupts = true
        guard case .busy(1, _) = try await store.begin(interrupting) else {
            Issue.record("not busy")
            return
        }
        guard case .waiting(1, 3, ["b"]) = try await store.begin(.result(of: "a", in: other).counted(for: account)) else {
            Issue.record("not waiting")
            return
        }
        // The last result would begin a step, and leaves nothing behind.
        let before = try await store.state(other)
        #expect(try await limit(store.begin(.result(of: "b", in: other).counted(for: account))) == .streams)
        #expect(try await store.state(other)?.updatedAt == before?.updatedAt)
        _ = try await store.commit(StepCommit(lease))
        try await eventually("the slot is free") { try await store.slots(of: account).isEmpty }
        _ = try await store.started(.result(of: "b", in: other).counted(for: account))
    }

    // MARK: Lost replies

    @Test("A lost reply charges once", arguments: [ReplyEater.Loss.reply, .request])
    func aLostReplyChargesOnce(loss: ReplyEater.Loss) async throws {
        let account = try Account.unique(UsageLimits(streams: 2, requestsPerMinute: 2, tokensPerDay: 10_000))
        let lossy = try await LossyStore()
        lossy.lose(loss, of: StoreScripts.admit)
        let lease = try await lossy.started(lossy.user().counted(for: account))
        #expect(lossy.eater.lost == 1)
        #expect(try await lossy.store.holds(account, slots: 1, tokens: 500))
        lossy.lose(loss, of: StoreScripts.settle)
        #expect(try await lossy.store.commit(StepCommit(lease)) == .held)
        try await eventually("it is settled once") {
            try await lossy.store.holds(account, slots: 0, tokens: 7)
        }
        #expect(lossy.eater.lost == 2)
        try await lossy.close()
    }

    @Test("A step that may have begun keeps its slot until it lapses")
    func aStepThatMayHaveBegunKeepsItsSlot() async throws {
        let account = try Account.unique(UsageLimits(streams: 1))
        let lossy = try await LossyStore { $0.retryPatience = .milliseconds(100) }
        _ = try await lossy.store.now()
        lossy.lose(.reply, of: StoreScripts.beginStep, goesAway: true)
        let error = await #expect(throws: StoreError.self) { try await lossy.store.begin(lossy.user().counted(for: account)) }
        #expect(error?.code == .outcomeUnknown)
        lossy.eater.comeBack()
        try await eventually("the store reaches Redis") { (try? await lossy.store.slots(of: account).count) == 1 }
        try await lossy.close()
    }

    // MARK: The life of a slot

    @Test("A slot lives as long as its lease", arguments: SharedRedis.allCases)
    func aSlotLivesAsLongAsItsLease(topology: SharedRedis) async throws {
        let account = try Account.unique(UsageLimits(streams: 1))
        let store = try await store(topology)
        let lease = try await store.started(.user("a", in: .unique()).counted(for: account))
        func until() async throws -> Int64 {
            let reply = try await store.read(
                RedisCommand("ZRANGEBYSCORE", store.keys(account).running, "-inf", "+inf", "WITHSCORES"), key: store.keys(account).prefix)
            return reply[1]?.string.flatMap { Int64($0) } ?? 0
        }
        func leaseUntil() async throws -> Int64 {
            try #require(try await store.state(lease.session)).leaseUntil
        }
        #expect(try await until() >= leaseUntil())
        try await store.lapse(account)
        #expect(await store.append(.tokens("a"), lease: lease, renews: false).value == .held)
        #expect(try await until() == 1, "a batch that renews no lease renews no slot")
        #expect(await store.append(.tokens("b", from: 2), lease: lease).value == .held)
        try await eventually("the slot is renewed") { try await until() >= leaseUntil() }
        try await store.lapse(account)
        await store.noteAsking(lease)
        try await eventually("the slot is renewed") { try await until() >= leaseUntil() }
    }

    @Test("A released step keeps its slot for its next owner")
    func aReleasedStepKeepsItsSlot() async throws {
        let account = try Account.unique(UsageLimits(streams: 1))
        let (one, two) = (try await store(), try await store())
        let lease = try await one.started(.user("a", in: .unique()).counted(for: account))
        let slots = try await one.slots(of: account)
        #expect(try await one.release(lease) == .held)
        #expect(try await limit(one.begin(.user("b", in: .unique()).counted(for: account))) == .streams)
        let taken = try await two.taken(lease)
        #expect(try await two.slots(of: account) == slots)
        #expect(taken.slot == lease.slot)
        #expect(try await two.commit(StepCommit(taken)) == .held)
        try await eventually("the slot is free") { try await one.slots(of: account).isEmpty }
    }
}
