import TestSupport
import Testing

@testable import SessionStore

/// The ledger is bounded: the oldest steps go first, and never what the session still waits for.
@Suite struct LedgerBoundTests {
    private func turns(_ range: ClosedRange<Int>, in it: ScriptSession, bound: Int) async throws {
        for step in range {
            let token = "token-\(step)"
            let answer = try await it.begin { ($0.token, $0.key, $0.digest, $0.ledgerBound) = (token, "key-\(step)", "d", bound) }
            try #require(answer.step == step)
            #expect(try await it.dump().ledger["t:\(token)"] == "\(step) begun")
            _ = try await it.commit(token, step)
        }
    }

    @Test func theOldestStepsGoFirstAndTheBoundHolds() async throws {
        let it = try await ScriptSession()
        let bound = 16
        for step in 1...40 {
            try await turns(step...step, in: it, bound: bound)
            let steps = Set(try await it.dump().ledger.values.compactMap { Int($0.prefix { $0 != " " }) })
            let count = try await it.dump().ledger.count
            #expect(count <= bound)
            // No gap but at the old end, at which one step may have lost one of its two entries.
            #expect(steps == Set(((steps.min() ?? 0)...step)))
            if step > 8 { #expect(count >= bound * 3 / 4) }
        }
        try await it.refused("replay 38 80") { try await it.begin { ($0.key, $0.digest) = ("key-38", "d") } }
        #expect(try await it.begin { ($0.key, $0.digest, $0.ledgerBound) = ("key-1", "d", bound) }.step == 41)
    }

    @Test func atTheBoundNothingGoes() async throws {
        let it = try await ScriptSession()
        try await turns(1...8, in: it, bound: 16)
        #expect(try await it.dump().ledger.count == 16)
        try await turns(9...9, in: it, bound: 18)
        #expect(try await it.dump().ledger.count == 18)
    }

    /// I2: what a step asked for stays known while it is the latest, however many calls it made.
    @Test func theLatestStepsEntriesStay() async throws {
        let it = try await ScriptSession()
        try await turns(1...4, in: it, bound: 8)
        let ids = (0..<40).map { "call-\($0)" }
        _ = try await it.begin { ($0.token, $0.ledgerBound) = ("calling", 8) }
        #expect(try await it.commit("calling", 5, .calls(ids)).name == "committed")
        for (index, id) in ids.dropLast().enumerated() {
            let answer = try await it.result(of: id) { ($0.ledgerBound, $0.key, $0.digest) = (8, "r-\(id)", "d") }
            #expect(answer.name == "waiting")
            let ledger = try await it.dump().ledger
            #expect(ledger.values.count { $0.contains(" pending ") } == ids.count - 1 - index)
            #expect(ledger["c:\(id)"]?.contains("answered") == true)
        }
        let ledger = try await it.dump().ledger
        #expect(ledger["t:calling"] == "5 committed")
        #expect(ledger.values.allSatisfy { $0.hasPrefix("5 ") })
        for id in ids.dropLast() { try await it.refused("waiting 5 49 call-39") { try await it.result(of: id) } }
        let last = try await it.result(of: "call-39") { ($0.token, $0.ledgerBound) = ("next", 8) }
        #expect(last.step == 6)
        #expect(try await it.dump().ledger["t:next"] == "6 begun")
        #expect(try await it.dump().ledger.count <= 8)
    }

    /// Calls of a step that the running one has overtaken can be open only after an edit by hand; even they stay.
    @Test func openCallsOfAnOlderStepStay() async throws {
        let it = try await ScriptSession()
        try await turns(1...4, in: it, bound: 8)
        for index in 0..<20 { try await it.command("HSET", it.keys.ledger, "c:old-\(index)", "1 \(index) pending read_file") }
        try await turns(5...6, in: it, bound: 8)
        #expect(try await it.dump().ledger.values.count { $0.contains(" pending ") } == 20)
    }
}
