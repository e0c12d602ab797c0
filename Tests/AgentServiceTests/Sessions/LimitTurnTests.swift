import LanguageModels
import NIOCore
import RedisClient
import TestSupport
import Testing

@testable import AgentService
@testable import SessionStore

@Suite("Turns of an account with limits", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct LimitTurnTests {
    private func account(_ limits: UsageLimits) throws -> Account {
        try Account(#require(Subject(SessionID.unique().text)), tenant: .standard, limits: limits)
    }

    private func refusal(_ error: TurnError?) -> LimitRefusal? { if case .limited(let refusal)? = error { refusal } else { nil } }

    private func slots(_ session: SessionInRedis, _ account: Account) throws -> Int {
        Int(try session.redis.cli("ZCARD", AccountKeys(account).running)) ?? -1
    }

    @Test("A turn at the limit is refused at once, and accepted when another has ended")
    func aTurnAtTheLimit() async throws {
        let account = try account(UsageLimits(streams: 1))
        let session = try await SessionInRedis(.shared())
        let gate = Gate()
        let turns = Turns(session, accounts: [account]) { request, sink in
            try await sink([.textDelta("half ")])
            await gate.pass()
            try await PlayedModel.saying("done")(request, sink)
        }
        let listener = try await turns.say("hello")
        try await eventually("it runs") { try !listener.tokens().isEmpty }
        let other = Turns(SessionInRedis(beside: session), accounts: [account], model: PlayedModel.saying("fine"))
        for extra: [String: JSON] in [[:], ["on_conflict": "wait"], ["on_conflict": "interrupt"]] {
            #expect(refusal(await other.refusal("hello", extra)) == LimitRefusal(limit: .streams, quota: 1, retryAfter: .seconds(1)))
        }
        #expect(other.model.requests.isEmpty)
        gate.open()
        #expect(try await listener.all().content == "half done")
        try await eventually("the slot is free") { try slots(session, account) == 0 }
        #expect(try await other.say("hello").all().content == "fine")
    }

    /// The client's own step has the only slot.
    @Test("An interrupt takes the slot of the step that it ends")
    func anInterrupt() async throws {
        let account = try account(UsageLimits(streams: 1))
        let session = try await SessionInRedis(.shared())
        let turns = Turns(session, accounts: [account], model: PlayedModel.endless)
        for _ in 0..<5 {
            let listener = try await turns.say("hello", ["on_conflict": "interrupt"])
            try await eventually("it runs") { try !listener.tokens().isEmpty }
        }
        _ = try await turns.service.cancel(session.id, step: nil, as: .tenant)
        try await eventually("the slot is free") { try slots(session, account) == 0 }
    }

    @Test("A deleted session's step releases its slot")
    func aDeletedSession() async throws {
        let account = try account(UsageLimits(streams: 1))
        let session = try await SessionInRedis(.shared(), lease: .seconds(60))
        let turns = Turns(session, accounts: [account], model: PlayedModel.endless)
        let listener = try await turns.say("hello")
        try await eventually("it runs") { try !listener.tokens().isEmpty }
        #expect(try await session.store.delete(session.id))
        #expect(try await listener.all().error["code"] == "session_deleted")
        try await eventually("the slot is free") { try slots(session, account) == 0 }
    }

    @Test("The owner renews its slot as long as its step runs")
    func theOwnerRenewsItsSlot() async throws {
        let account = try account(UsageLimits(streams: 1))
        let session = try await SessionInRedis(.shared(), lease: .milliseconds(300))
        let turns = Turns(session, accounts: [account], model: PlayedModel.endless)
        let listener = try await turns.say("hello")
        try await eventually("it runs") { try !listener.tokens().isEmpty }
        // For several leases, also without text.
        let silent = Gate()
        let beside = SessionInRedis(beside: session)
        let quiet = Turns(beside, accounts: [try self.account(UsageLimits(streams: 1))]) { _, _ in await silent.pass() }
        _ = try await quiet.say("hello")
        let other = Turns(SessionInRedis(beside: session), accounts: [account], model: PlayedModel.saying("no"))
        for _ in 0..<20 {
            try await Task.sleep(for: .milliseconds(50))
            #expect(refusal(await other.refusal("hello"))?.limit == .streams)
            #expect(try slots(session, quiet.accounts[0]) == 1)
            let until = try session.redis.lines("ZRANGE", AccountKeys(quiet.accounts[0]).running, "0", "-1", "WITHSCORES").last
            let now = try await session.store.now()
            #expect(until.flatMap { Int64($0) } ?? 0 > now)
        }
        silent.open()
        _ = try await turns.service.cancel(session.id, step: nil, as: .tenant)
    }

    @Test("A lost step that waits for a slot runs when another has ended")
    func aLostStepThatWaits() async throws {
        let account = try account(UsageLimits(streams: 1))
        let lost = try await SessionInRedis(.shared())
        let message = ChatMessage.user(content: ByteBuffer(string: #""hello""#))
        var begin = BeginStep(session: lost.id, input: .user(message))
        begin.accounts = [account]
        _ = try await lost.store.begin(begin)
        let member = try #require(try lost.redis.lines("ZRANGE", AccountKeys(account).running, "0", "-1").first)
        try lost.redis.cli("ZADD", AccountKeys(account).running, "1", member)
        try lost.expire()
        let elsewhere = try await lost.elsewhere()
        // A replica that has not heard of Redis yet takes no slot for lapsed.
        _ = try await elsewhere.store.now()
        let gate = Gate()
        let other = Turns(SessionInRedis(beside: elsewhere), accounts: [account]) { request, sink in
            await gate.pass()
            try await PlayedModel.saying("first")(request, sink)
        }
        let listener = try await other.say("hello")
        let turns = Turns(elsewhere, accounts: [account], model: PlayedModel.saying("whole"))
        #expect(try await !turns.service.takeOver(lost.id, step: 1))
        #expect(try await !turns.service.takeOver(lost.id, step: 1))
        gate.open()
        #expect(try await listener.all().content == "first")
        try await eventually("it is taken over") { try await turns.service.takeOver(lost.id, step: 1) }
        #expect(try await turns.follow(1).content == "whole")
        try await eventually("the slot is free") { try slots(lost, account) == 0 }
    }

    private struct Prices: UsagePrices {
        func cost(of usage: TokenUsage, provider: String, model: String) -> Int {
            model == "default-model" && provider == "default" ? usage.promptTokens * 10 + usage.completionTokens * 100 : 0
        }
    }

    @Test("What the model counted is counted for the account, with its price")
    func usageIsCounted() async throws {
        let account = try account(UsageLimits(tokensPerDay: 100_000))
        let session = try await SessionInRedis(.shared())
        let turns = Turns(session, accounts: [account]) {
            $0.prices = Prices()
        } model: { request, sink in
            try await PlayedModel.saying("fine")(request, sink)
        }
        #expect(try await turns.say("hello").all().done["status"] == "completed")
        // A model that counts nothing.
        turns.model.play { _, sink in try await sink([.textDelta("fine"), .finish(.stop)]) }
        #expect(try await turns.say("hello").all().done["status"] == "completed")
        let today = try await session.store.today()
        let usage = try await session.store.usage(of: account, days: UsageDay(number: today.number - 1)...today)
        #expect(usage.reduce(0) { $0 + $1.steps } == 2)
        #expect(usage.reduce(0) { $0 + $1.promptTokens } == 9 && usage.reduce(0) { $0 + $1.completionTokens } == 12)
        #expect(usage.reduce(0) { $0 + $1.cost } == 1290)
        try await eventually("the day's tokens are settled, and the reserve of the second step stays") {
            try session.redis.cli("HGET", AccountKeys(account).rates, "n") == "521"
        }
    }
}
