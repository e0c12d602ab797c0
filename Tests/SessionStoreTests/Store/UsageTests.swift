import RedisClient
import TestSupport
import Testing

@testable import SessionStore

@Suite("Usage of accounts", .tags(.redis), .serialized)
struct UsageTests {
    private func usage(_ store: RedisSessionStore, _ account: Account) async throws -> [DayUsage] {
        let today = try await store.today()
        return try await store.usage(of: account, days: UsageDay(number: today.number - 1)...UsageDay(number: today.number + 1))
    }

    private func total(_ store: RedisSessionStore, _ account: Account) async throws -> [Int] {
        // Midnight may come.
        try await usage(store, account).reduce(into: [0, 0, 0, 0]) { sums, day in
            for (index, count) in [day.promptTokens, day.completionTokens, day.steps, day.cost].enumerated() { sums[index] += count }
        }
    }

    @Test("Every step is counted for each of its accounts", arguments: SharedRedis.allCases)
    func everyStepIsCounted(topology: SharedRedis) async throws {
        let store = try await topology.configuration().store()
        let (key, user) = (try Account.unique(), try Account.unique(UsageLimits(streams: 3)))
        for number in 1...3 {
            var commit = StepCommit(try await store.started(.user("a", in: .unique()).counted(for: key, user)))
            if number == 3 { commit.cost = 17 }
            #expect(try await store.commit(commit) == .held)
        }
        _ = try await store.commit(StepCommit(try await store.started(.user("a", in: .unique()).counted(for: user))))
        #expect(try await total(store, key) == [9, 12, 3, 17])
        #expect(try await total(store, user) == [12, 16, 4, 17])
        #expect(try await total(store, .unique()) == [0, 0, 0, 0])
        // A person can read it, and it does not stay for good.
        let today = try await store.today()
        let name = store.keys(key).usage(today.month)
        let fields = try await store.read(RedisCommand("HGETALL", name), key: name).plainDictionary
        #expect(fields.keys.contains("\(today.dayOfMonth):in"))
        let wanted = Int64(UsageDay.kept) * UsageDay.length
        try await eventually("it expires") {
            let left = try await store.read(RedisCommand("PTTL", name), key: name).integer ?? 0
            return abs(left - wanted) < 120_000
        }
    }

    @Test("A step that is taken over counts for its accounts", arguments: SharedRedis.allCases)
    func aStepThatIsTakenOver(topology: SharedRedis) async throws {
        let store = try await topology.configuration().store()
        let account = try Account.unique()
        let lease = try await store.started(.user("a", in: .unique()).counted(for: account))
        _ = try await store.release(lease)
        #expect(try await store.commit(StepCommit(try await store.taken(lease))) == .held)
        #expect(try await total(store, account) == [3, 4, 1, 0])
    }

    @Test(
        "A commit whose reply is lost is counted at least once",
        arguments: [[ReplyEater.Loss.reply], [.request], [.reply, .reply, .request]])
    func aLostReply(losses: [ReplyEater.Loss]) async throws {
        let account = try Account.unique()
        let lossy = try await LossyStore()
        let lease = try await lossy.started(lossy.user().counted(for: account))
        for loss in losses { lossy.lose(loss, of: StoreScripts.commitStep) }
        #expect(try await lossy.store.commit(StepCommit(lease)) == .held)
        #expect(lossy.eater.lost == losses.count)
        let counts = try await total(lossy.store, account)
        #expect(zip(counts, [3, 4, 1]).allSatisfy { $0 >= $1 && $0 <= $1 * (losses.count + 1) }, "\(counts)")
        try await lossy.close()
    }

    @Test("A count whose reply is lost is sent again")
    func aLostCount() async throws {
        let account = try Account.unique()
        let lossy = try await LossyStore()
        let lease = try await lossy.started(lossy.user().counted(for: account))
        lossy.eater.lose(.request, of: "HINCRBY")
        #expect(try await lossy.store.commit(StepCommit(lease)) == .held)
        #expect(lossy.eater.lost == 1)
        #expect(try await total(lossy.store, account) == [3, 4, 1, 0])
        try await lossy.close()
    }

    /// A person has put something else there. The step's end does not depend on it.
    @Test("A step that cannot be counted ends all the same", arguments: SharedRedis.allCases)
    func aStepThatCannotBeCounted(topology: SharedRedis) async throws {
        let store = try await topology.configuration().store()
        let account = try Account.unique()
        let key = store.keys(account).usage(try await store.today().month)
        _ = try await store.read(RedisCommand("RPUSH", key, "x"), key: key)
        let lease = try await store.started(.user("a", in: .unique()).counted(for: account))
        #expect(try await store.commit(StepCommit(lease)) == .held)
    }

    @Test("A step without accounts and limits sends nothing")
    func aStepWithoutAccounts() async throws {
        let redis = try await RedisServer.start()
        let store = try await redis.store()
        _ = try await store.commit(StepCommit(try await store.started(.user("a", in: .unique()))))
        let account = try Account.unique()
        try redis.cli("CONFIG", "RESETSTAT")
        _ = try await store.commit(StepCommit(try await store.started(.user("a", in: .unique()).counted(for: account))))
        let calls = try redis.cli("INFO", "commandstats")
        #expect(calls.contains("cmdstat_evalsha:calls=2,"), "begin_step and commit_step: \(calls)")
        #expect(try redis.lines("KEYS", "agent:{t:*").count == 1)
        try await redis.kill()
    }

    @Test("An account is forgotten as a whole", arguments: SharedRedis.allCases)
    func anAccountIsForgotten(topology: SharedRedis) async throws {
        let store = try await topology.configuration().store()
        let account = try Account.unique(UsageLimits(streams: 5, requestsPerMinute: 5))
        _ = try await store.commit(StepCommit(try await store.started(.user("a", in: .unique()).counted(for: account))))
        _ = try await store.started(.user("a", in: .unique()).counted(for: account))
        let keys = store.keys(account)
        let old = keys.usage(UsageDay(number: try await store.today().number - 400).month)
        _ = try await store.read(RedisCommand("HSET", old, "01:in", "1"), key: old)
        try await store.forget(account)
        for key in keys.ofLimits + [old, keys.usage(try await store.today().month)] {
            #expect(try await store.read(RedisCommand("PTTL", key), key: key).integer == -2, "\(key)")
        }
    }
}
