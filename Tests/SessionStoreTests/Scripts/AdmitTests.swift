import TestSupport
import Testing

@testable import SessionStore

@Suite("admit and settle", .tags(.redis), .serialized)
struct AdmitTests {
    static let second: Int64 = 1_000_000
    static let day = 86_400 * second
    let it: ScriptAccount

    init() async throws {
        it = try await ScriptAccount()
        try await it.set(0)
    }

    private func refused(
        _ expected: String, _ location: SourceLocation = #_sourceLocation, _ call: () async throws -> String
    ) async throws {
        let before = try await it.dump()
        #expect(try await call() == expected, sourceLocation: location)
        #expect(try await it.dump() == before, "a refusal charges nothing", sourceLocation: location)
    }

    // MARK: Streams

    @Test("As many steps run as may, and another begins when one ends")
    func streams() async throws {
        let limits = UsageLimits(streams: 2)
        #expect(try await it.admit("a", limits) == "admitted")
        #expect(try await it.admit("b", limits) == "admitted")
        try await refused("refused streams 1000") { try await it.admit("c", limits) }
        // Repeated calls of a step that has its slot renew it.
        try await it.set(Self.second)
        #expect(try await it.admit("a", limits) == "admitted")
        #expect(
            try await it.dump()[0] == ["b", "\(ScriptAccount.midnight + 3000)", "a", "\(ScriptAccount.midnight + 4000)"])
        try await refused("refused streams 1000") { try await it.admit("c", limits) }
        try await it.settle("b", limits, used: 0, reserved: 0)
        #expect(try await it.admit("c", limits) == "admitted")
        #expect(try await it.dump()[2] == [], "an account without rates has none")
    }

    @Test("A slot that is not renewed becomes free when its lease would have run out")
    func aSlotLapses() async throws {
        let limits = UsageLimits(streams: 1)
        #expect(try await it.admit("a", limits) == "admitted")
        try await it.set(3 * Self.second - 1000)
        try await refused("refused streams 1000") { try await it.admit("b", limits) }
        try await it.set(3 * Self.second)
        #expect(try await it.admit("b", limits) == "admitted")
        #expect(try await it.dump()[0] == ["b", "\(ScriptAccount.midnight + 6000)"])
    }

    /// The owners of lapsed slots could not renew them.
    @Test("After an outage of Redis lapsed slots still count")
    func lapsedSlotsCountAfterAnOutage() async throws {
        let limits = UsageLimits(streams: 1)
        #expect(try await it.admit("a", limits) == "admitted")
        try await it.set(9 * Self.second)
        try await refused("refused streams 1000") { try await it.admit("b", limits, keepsLapsed: true) }
        // The call itself has waited for Redis.
        let late = ScriptAccount.midnight + 7999
        try await refused("refused streams 1000") { try await it.admit("b", limits, sent: late) }
        #expect(try await it.admit("a", limits, keepsLapsed: true) == "admitted")
        try await refused("refused streams 1000") { try await it.admit("b", limits) }
        try await it.set(12 * Self.second)
        #expect(try await it.admit("b", limits, sent: ScriptAccount.midnight + 11_000) == "admitted")
    }

    // MARK: Lost steps

    @Test("The next slot goes to the lost step that waits for it")
    func aLostStepGoesFirst() async throws {
        let limits = UsageLimits(streams: 2, requestsPerMinute: 2)
        #expect(try await it.admit("lost", limits) == "admitted")
        try await it.set(4 * Self.second)
        // Its slot has lapsed, and others have all.
        for step in ["a", "b"] { #expect(try await it.admit(step, UsageLimits(streams: 2)) == "admitted") }
        #expect(try await it.admit("lost", limits, isLost: true) == "refused streams 1000")
        #expect(try await it.dump()[1] == ["lost", "\(ScriptAccount.midnight + 7000)"])
        try await it.settle("a", limits, used: 0, reserved: 0)
        try await refused("refused streams 1000") { try await it.admit("c", limits) }
        let rates = try await it.dump()[2]
        #expect(try await it.admit("lost", limits, isLost: true) == "admitted")
        #expect(try await it.dump()[1] == [], "it waits no more")
        #expect(try await it.dump()[2] == rates, "it was charged when it began")
        try await it.settle("b", limits, used: 0, reserved: 0)
        #expect(try await it.admit("c", limits) == "admitted")
    }

    @Test("A claim that no replica renews lapses")
    func aClaimLapses() async throws {
        let limits = UsageLimits(streams: 1)
        #expect(try await it.admit("a", limits) == "admitted")
        #expect(try await it.admit("lost", limits, isLost: true) == "refused streams 1000")
        try await it.settle("a", limits, used: 0, reserved: 0)
        try await it.set(3 * Self.second - 1000)
        try await refused("refused streams 1000") { try await it.admit("b", limits) }
        try await it.set(3 * Self.second)
        #expect(try await it.admit("b", limits) == "admitted")
        #expect(try await it.dump()[1] == [])
    }

    @Test("A lost step whose slot lives, or was left alone, keeps it")
    func aLostStepKeepsItsSlot() async throws {
        let limits = UsageLimits(streams: 2)
        for step in ["a", "lost"] { #expect(try await it.admit(step, limits) == "admitted") }
        #expect(try await it.admit("lost", limits, isLost: true) == "admitted")
        try await it.set(9 * Self.second)
        #expect(try await it.admit("lost", limits, isLost: true) == "admitted")
        #expect(try await it.admit("b", limits) == "admitted", "the other one has lapsed")
    }

    // MARK: Rates

    @Test("Requests come as a minute's worth at once, and then one after another")
    func requests() async throws {
        let limits = UsageLimits(requestsPerMinute: 3)
        for step in 1...3 { #expect(try await it.admit("\(step)", limits) == "admitted") }
        try await refused("refused requests 20000") { try await it.admit("4", limits) }
        try await it.set(15 * Self.second)
        try await refused("refused requests 5000") { try await it.admit("4", limits) }
        try await it.set(20 * Self.second)
        #expect(try await it.admit("4", limits) == "admitted")
        try await refused("refused requests 20000") { try await it.admit("5", limits) }
        // A minute without requests makes up for all, and for no more.
        try await it.set(1000 * Self.second)
        for step in 5...7 { #expect(try await it.admit("\(step)", limits) == "admitted") }
        try await refused("refused requests 20000") { try await it.admit("8", limits) }
    }

    @Test("A repeated call is charged once")
    func aRepeatedCallIsChargedOnce() async throws {
        let limits = UsageLimits(requestsPerMinute: 2, tokensPerMinute: 1000, tokensPerDay: 700)
        for _ in 1...5 { #expect(try await it.admit("a", limits, reserve: 500) == "admitted") }
        #expect(try await it.dump()[2].last == "500")
        // Also if the slot has lapsed meanwhile.
        try await it.set(5 * Self.second)
        #expect(try await it.admit("a", limits, reserve: 500) == "admitted")
        #expect(try await it.dump()[2].last == "500")
    }

    @Test("Tokens are reserved, and settled when the step has ended")
    func tokens() async throws {
        let limits = UsageLimits(tokensPerMinute: 1000)
        for step in ["a", "b"] { #expect(try await it.admit(step, limits, reserve: 500) == "admitted") }
        try await refused("refused tokens 30000") { try await it.admit("c", limits, reserve: 500) }
        // It used nothing.
        try await it.settle("a", limits, used: 0, reserved: 500)
        #expect(try await it.admit("c", limits, reserve: 500) == "admitted")
        // It used twice as much as a minute has: the account waits until that is made up for.
        try await it.settle("b", limits, used: 2000, reserved: 500)
        try await refused("refused tokens 120000") { try await it.admit("d", limits, reserve: 500) }
        try await it.set(120 * Self.second)
        #expect(try await it.admit("d", limits, reserve: 500) == "admitted")
    }

    /// The bucket has filled again while the step ran. Its tokens are charged in full all the same.
    @Test("Tokens of a long step are charged when it ends")
    func aLongStepIsChargedAtItsEnd() async throws {
        let limits = UsageLimits(tokensPerMinute: 1000)
        #expect(try await it.admit("a", limits, reserve: 500) == "admitted")
        try await it.set(600 * Self.second)
        try await it.settle("a", limits, used: 1500, reserved: 500)
        try await refused("refused tokens 30000") { try await it.admit("b", limits, reserve: 500) }
    }

    @Test("A day's tokens are used up until midnight")
    func aDaysTokens() async throws {
        let limits = UsageLimits(tokensPerDay: 1000)
        try await it.set(Self.day - 10 * Self.second)
        #expect(try await it.admit("a", limits, reserve: 400) == "admitted")
        try await it.settle("a", limits, used: 700, reserved: 400)
        try await refused("refused day 10000") { try await it.admit("b", limits, reserve: 400) }
        #expect(try await it.admit("b", limits, reserve: 300) == "admitted")
        // The next day: what was reserved on the day before is not given back.
        try await it.set(Self.day)
        #expect(try await it.admit("c", limits, reserve: 300) == "admitted")
        try await it.settle("b", limits, used: 200, reserved: 300)
        #expect(try await it.dump()[2].last == "500")
        try await it.settle("c", limits, used: 1000, reserved: 300, day: Int(ScriptAccount.midnight / UsageDay.length) + 1)
        #expect(try await it.dump()[2].last == "1200")
        try await refused("refused day \(24 * 3600 * 1000)") { try await it.admit("d", limits, reserve: 300) }
    }

    @Test("A refusal by the last limit charges none of the others")
    func aRefusalChargesNothing() async throws {
        let limits = UsageLimits(streams: 9, requestsPerMinute: 9, tokensPerMinute: 9000, tokensPerDay: 900)
        #expect(try await it.admit("a", limits, reserve: 500) == "admitted")
        try await refused("refused day \(24 * 3600 * 1000)") { try await it.admit("b", limits, reserve: 500) }
        try await refused("refused tokens 3334") {
            try await it.admit("b", UsageLimits(streams: 9, requestsPerMinute: 9, tokensPerMinute: 9000), reserve: 9000)
        }
    }

    @Test("A step that did not begin gets everything back")
    func aStepThatDidNotBeginGetsAllBack() async throws {
        let limits = UsageLimits(streams: 1, requestsPerMinute: 1, tokensPerMinute: 500, tokensPerDay: 500)
        for step in ["a", "b", "c"] {
            #expect(try await it.admit(step, limits, reserve: 500) == "admitted")
            #expect(try await it.settle(step, limits, used: nil, reserved: 500) == 1)
        }
        #expect(try await it.dump()[0] == [])
    }

    @Test("A repeated settlement is applied once")
    func aRepeatedSettlementIsAppliedOnce() async throws {
        let limits = UsageLimits(tokensPerDay: 1000)
        #expect(try await it.admit("a", limits, reserve: 500) == "admitted")
        #expect(try await it.settle("a", limits, used: 700, reserved: 500, isRepeated: true) == 1)
        #expect(try await it.settle("a", limits, used: 700, reserved: 500, isRepeated: true) == 0)
        #expect(try await it.dump()[2].last == "700")
        // The slot had lapsed, and another step's call removed it: the tokens count all the same.
        #expect(try await it.settle("b", limits, used: 50, reserved: 0) == 1)
        #expect(try await it.dump()[2].last == "750")
    }

    @Test("Nothing of an account stays for good")
    func nothingStays() async throws {
        let limits = UsageLimits(streams: 1, requestsPerMinute: 5)
        let (day, now) = (UsageDay.length, ScriptAccount.midnight)
        #expect(try await it.admit("a", limits) == "admitted")
        #expect(try await it.admit("lost", limits, isLost: true) == "refused streams 1000")
        #expect(try await it.expiry(it.keys.rates) == now + 2 * day)
        #expect(try await it.expiry(it.keys.running) == now + 3000 + day)
        #expect(try await it.expiry(it.keys.waiting) == now + 3000)
    }

    @Test("A clock that was set back refuses requests for no longer than a minute")
    func aClockThatWasSetBack() async throws {
        let limits = UsageLimits(requestsPerMinute: 1)
        try await it.set(3600 * Self.second)
        #expect(try await it.admit("a", limits) == "admitted")
        try await it.set(0)
        try await refused("refused requests 60000") { try await it.admit("b", limits) }
    }
}
