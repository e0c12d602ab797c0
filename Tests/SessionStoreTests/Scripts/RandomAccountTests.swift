import TestSupport
import Testing

@testable import SessionStore

@Suite("Random uses of an account", .tags(.redis), .serialized)
struct RandomAccountTests {
    @Test("The scripts do what the rules say", arguments: 0..<24 as Range<UInt64>)
    func theScriptsDoWhatTheRulesSay(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        func maybe(_ range: ClosedRange<Int>) -> Int? { Bool.random(using: &random) ? Int.random(in: range, using: &random) : nil }
        var limits = UsageLimits(
            streams: maybe(1...4), requestsPerMinute: maybe(1...90), tokensPerMinute: maybe(1000...90_000),
            tokensPerDay: maybe(2000...50_000))
        if limits == .none { limits.streams = 2 }
        let it = try await ScriptAccount()
        var model = AccountModel(limits)
        // Not at midnight: the day changes within the run.
        model.advance(86_000 * AdmitTests.second)
        var begun: [(step: String, reserved: Int, day: Int)] = []
        for number in 0..<300 {
            model.advance(Int64.random(in: 1...2_500_000, using: &random))
            try await it.set(model.now)
            let why = "seed \(seed), call \(number): \(limits)"
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5:
                let step = "s-\(number)"
                let reserve = limits.tokensPerMinute == nil && limits.tokensPerDay == nil ? 0 : Int.random(in: 0...1000, using: &random)
                let refusal = model.admit(step, reserve: reserve, isLost: false)
                try await expect(it.admit(step, limits, reserve: reserve), refusal, why)
                if refusal == nil { begun.append((step, reserve, model.today)) }
            case 5:
                guard let one = begun.randomElement(using: &random) else { continue }
                // A lost reply, or a takeover.
                let isLost = Bool.random(using: &random)
                let refusal = model.admit(one.step, reserve: one.reserved, isLost: isLost)
                try await expect(it.admit(one.step, limits, reserve: one.reserved, isLost: isLost), refusal, why)
            default:
                guard !begun.isEmpty else { continue }
                let one = begun.remove(at: Int.random(in: 0..<begun.count, using: &random))
                let used: Int? = Int.random(in: 0..<4, using: &random) == 0 ? nil : Int.random(in: 0...3000, using: &random)
                model.settle(one.step, used: used, reserved: one.reserved, day: one.day)
                try await it.settle(one.step, limits, used: used, reserved: one.reserved, day: one.day)
            }
            let dump = try await it.dump()
            #expect(Set(dump[0]) == Set(model.slots.flatMap { [$0.key, "\($0.value)"] }), "\(why)")
            if let most = limits.streams {
                #expect(model.slots.count <= most, "\(why)")
                #expect(Set(dump[1]) == Set(model.claims.flatMap { [$0.key, "\($0.value)"] }), "\(why)")
            }
        }
    }

    private func expect(_ line: String, _ refusal: (limit: UsageLimit, wait: Double)?, _ why: String) {
        guard let refusal else {
            #expect(line == "admitted", "\(why)")
            return
        }
        let words = line.split(separator: " ")
        #expect(words.dropLast().joined(separator: " ") == "refused \(refusal.limit.rawValue)", "\(why), and not \(line)")
        #expect(abs((words.last.flatMap { Double($0) } ?? -9) - refusal.wait) <= 2, "\(why): \(line), not \(refusal.wait)")
    }
}
