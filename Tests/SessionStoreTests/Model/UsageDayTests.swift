import Foundation
import Testing

@testable import SessionStore

@Suite("Days and accounts in keys")
struct UsageDayTests {
    @Test("A day has the date of the Gregorian calendar")
    func aDayHasItsDate() throws {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(secondsFromGMT: 0))
        // Foundation counts by the Julian calendar before 1582-10-15.
        for number in stride(from: -140_000, through: 400_000, by: 61) {
            let parts = calendar.dateComponents([.year, .month, .day], from: Date(timeIntervalSince1970: Double(number) * 86_400))
            let (year, month, day) = (try #require(parts.year), try #require(parts.month), try #require(parts.day))
            let text = String(format: "%04d-%02d-%02d", year, month, day)
            #expect(UsageDay(number: number).description == text)
            #expect(UsageDay(text)?.number == number)
        }
        #expect(UsageDay(milliseconds: 86_400_000 - 1).description == "1970-01-01")
        #expect(UsageDay(milliseconds: 86_400_000).description == "1970-01-02")
    }

    @Test(
        "Another text is no day",
        arguments: ["", "2026-02-30", "2026-13-01", "2026-00-01", "2026-1-1", "26-01-01", "2026-01-01 ", "2026-01-0x", "2026/01/01"])
    func anotherTextIsNoDay(text: String) {
        #expect(UsageDay(text) == nil)
    }

    @Test("A slot is read as it was written")
    func aSlotIsReadAsItWasWritten() throws {
        let tenant = try #require(TenantID("acme"))
        let session = try #require(SessionID("s:1", tenant: tenant))
        let user = Account(
            try #require(Subject("ann, {lee}/ü *%")), tenant: tenant, limits: UsageLimits(streams: 3, tokensPerMinute: 100))
        let key = Account(key: "gw-1", tenant: .standard)
        var slot = StepSlot([key, user], session: session, reserve: 500)
        slot.day = 20_000
        #expect(slot.name.hasPrefix("acme/s:1#") && slot.shares.map(\.reserved) == [0, 100])
        #expect(slot.text == "\(slot.name) 20000 /*gw-1 acme/ann%2C%20%7Blee%7D%2F%C3%BC%20%2A%25,3,0,100,0,100")
        #expect(StepSlot(text: slot.text) == slot)
        let plain = StepSlot([key], session: session, reserve: 500)
        #expect(plain.text == "- 0 /*gw-1" && StepSlot(text: plain.text) == plain)
        #expect(StepSlot([], session: session, reserve: 500).text == "")
    }

    @Test(
        "A damaged slot is none",
        arguments: [
            "", "a", "a 1", "a x /n", "- 0 n", "- 0 /", "a 1 /n,1", "a 1 /n,1,2,3,4,x", "- 0 /n,1,0,0,0,0", "a 1 bad tenant/n", "a 1 a b/n",
        ])
    func aDamagedSlotIsNone(text: String) {
        #expect(StepSlot(text: text) == nil)
    }

    @Test("The keys of an account share a hash tag that no session has")
    func theKeysShareAHashTag() throws {
        let keys = AccountKeys(Account(try #require(Subject("a}b")), tenant: try #require(TenantID("acme"))))
        #expect(keys.running == "agent:{t:acme/a%7Db}:running")
        #expect(keys.usage("2026-11") == "agent:{t:acme/a%7Db}:usage:2026-11")
        #expect(TenantID("t:acme") == nil, "a session's name with a slash begins with a tenant")
    }
}
