import RedisClient
import TestSupport
import Testing

@testable import SessionStore

@Suite("Lost steps of accounts with limits", .tags(.redis), .serialized)
struct LostStepLimitTests: LimitSuite {
    @Test("A lost step waits for a slot and gets the next one", arguments: SharedRedis.allCases)
    func aLostStepWaitsForASlot(topology: SharedRedis) async throws {
        let account = try Account.unique(UsageLimits(streams: 1, tokensPerDay: 10_000))
        let (one, two) = (try await store(topology), try await store(topology))
        let lost = try await one.started(.user("a", in: .unique()).counted(for: account))
        try await one.lapse(account)
        try await one.expire(lost.session)
        // A replica that has not heard of Redis yet takes no slot for lapsed.
        #expect(try await limit(two.begin(.user("b", in: .unique()).counted(for: account))) == .streams)
        let other = try await two.started(.user("b", in: .unique()).counted(for: account))
        let takeOver = TakeOver(session: lost.session, step: 1, reason: .lost)
        let hints = two.keys(lost.session).running
        _ = try await two.read(RedisCommand("ZADD", hints, "1", lost.session.name), key: hints)
        let now = try await two.now(of: two.keys(lost.session).prefix)
        guard case .tooEarly = try await two.takeOver(takeOver) else {
            Issue.record("it was taken")
            return
        }
        #expect(try await two.state(lost.session)?.isOrphaned == true)
        // Its hint is due again in a third of a lease.
        try await eventually("it is put off") {
            let hint = try await two.read(RedisCommand("ZSCORE", hints, lost.session.name), key: hints)
            return hint.string.flatMap { Int64($0) }.map { now + 15_000 < $0 && $0 <= now + 25_000 } ?? false
        }
        #expect(try await two.commit(StepCommit(other)) == .held)
        try await eventually("the slot is free") { try await two.slots(of: account).isEmpty }
        #expect(try await limit(two.begin(.user("c", in: .unique()).counted(for: account))) == .streams, "it is the lost step's")
        let taken = try await two.taken(lost)
        #expect(taken.slot == lost.slot)
        #expect(try await two.slots(of: account) == [lost.slot?.name])
        #expect(try await two.tokensOfDay(of: account) == "507", "it was charged when it began")
        #expect(try await two.commit(StepCommit(taken)) == .held)
        try await eventually("it is settled") { try await two.tokensOfDay(of: account) == "14" }
        _ = try await two.started(.user("c", in: .unique()).counted(for: account))
    }

    /// While it waits for one account, it leaves the other's slot to others that could wait for it.
    @Test("A lost step of two accounts holds no slot while it waits")
    func aLostStepHoldsNoSlotWhileItWaits() async throws {
        let (key, user) = (try Account.unique(UsageLimits(streams: 1)), try Account.unique(UsageLimits(streams: 1)))
        let store = try await store()
        let lost = try await store.started(.user("a", in: .unique()).counted(for: key, user))
        for account in [key, user] { try await store.lapse(account) }
        try await store.expire(lost.session)
        let other = try await store.started(.user("b", in: .unique()).counted(for: user))
        guard case .tooEarly = try await store.takeOver(TakeOver(session: lost.session, step: 1, reason: .lost)) else {
            Issue.record("it was taken")
            return
        }
        try await eventually("it holds nothing") { try await store.slots(of: key).isEmpty }
        #expect(try await limit(store.begin(.user("c", in: .unique()).counted(for: key))) == .streams, "it has a claim")
        #expect(try await store.commit(StepCommit(other)) == .held)
        try await eventually("the slot is free") { try await store.slots(of: user).isEmpty }
        let taken = try await store.taken(lost)
        for account in [key, user] { #expect(try await store.slots(of: account) == [taken.slot?.name]) }
    }

    @Test("A cancel needs no slot")
    func aCancelNeedsNoSlot() async throws {
        let account = try Account.unique(UsageLimits(streams: 1))
        let store = try await store()
        let lost = try await store.started(.user("a", in: .unique()).counted(for: account))
        try await store.lapse(account)
        try await store.expire(lost.session)
        let other = try await store.started(.user("b", in: .unique()).counted(for: account))
        let outcome = try await store.takeOver(TakeOver(session: lost.session, step: 1, reason: .cancel))
        guard case .taken(let taken) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(try await store.commit(StepCommit(taken.started.lease)) == .held)
        try await eventually("the other step has the slot") { try await store.slots(of: account) == [other.slot?.name] }
    }

    /// An earlier build does not write the field.
    @Test("A slot of an earlier step is not taken for the lost step's")
    func aSlotOfAnEarlierStep() async throws {
        let account = try Account.unique(UsageLimits(streams: 1))
        let store = try await store()
        let session = SessionID.unique()
        _ = try await store.commit(StepCommit(try await store.started(.user("a", in: session).counted(for: account))))
        let key = store.keys(session).state
        let old = try await store.read(RedisCommand("HGET", key, "slot"), key: key).string
        #expect(old?.hasPrefix("1 \(session.text)#") == true)
        let lease = try await store.started(.user("b", in: session))
        #expect(try await store.read(RedisCommand("HGET", key, "slot"), key: key).string == "")
        _ = try await store.read(RedisCommand("HSET", key, "slot", try #require(old)), key: key)
        try await store.expire(session)
        #expect(try await store.taken(lease).slot == nil)
        #expect(try await store.slots(of: account).isEmpty)
    }
}
