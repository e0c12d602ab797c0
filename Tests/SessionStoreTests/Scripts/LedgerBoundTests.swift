import TestSupport
import Testing

@testable import SessionStore

/// The scripts drop the oldest steps' entries first, and never entries that the session still
/// needs.
@Suite("Bound on the ledger", .tags(.redis), .serialized)
struct LedgerBoundTests {
    private func turns(_ range: ClosedRange<Int>, in it: ScriptSession, bound: Int) async throws {
        for step in range {
            let token = "token-\(step)"
            let answer = try await it.begin { ($0.token, $0.key, $0.digest, $0.ledgerBound) = (token, "key-\(step)", "d", bound) }
            try #require(answer.step == step)
            #expect(try await it.dump().ledger["t:\(token)"] == "\(step) begun")
            _ = try await it.commit(token, step)
        }
    }

    @Test("The oldest steps go first, and the bound holds")
    func theOldestStepsGoFirstAndTheBoundHolds() async throws {
        let it = try await ScriptSession()
        let bound = 16
        for step in 1...40 {
            try await turns(step...step, in: it, bound: bound)
            let steps = Set(try await it.dump().ledger.values.compactMap { Int($0.prefix { $0 != " " }) })
            let count = try await it.dump().ledger.count
            #expect(count <= bound)
            // Entries are missing only at the old end, where one step may have lost one of its two
            // entries.
            #expect(steps == Set(((steps.min() ?? 0)...step)))
            if step > 8 { #expect(count >= bound * 3 / 4) }
        }
        try await it.refused("replay 38 80") { try await it.begin { ($0.key, $0.digest) = ("key-38", "d") } }
        #expect(try await it.begin { ($0.key, $0.digest, $0.ledgerBound) = ("key-1", "d", bound) }.step == 41)
    }

    @Test("Nothing goes at the bound")
    func atTheBoundNothingGoes() async throws {
        let it = try await ScriptSession()
        try await turns(1...8, in: it, bound: 16)
        #expect(try await it.dump().ledger.count == 16)
        try await turns(9...9, in: it, bound: 18)
        #expect(try await it.dump().ledger.count == 18)
    }

    /// The ledger keeps all calls of the latest step, however many these are.
    @Test("The latest step's entries stay (I2)")
    func theLatestStepsEntriesStay() async throws {
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
        // Of the other steps, only the last tokens remain.
        #expect(ledger.values.filter { !$0.hasPrefix("5 ") } == ["4 committed"])
        for id in ids.dropLast() { try await it.refused("waiting 5 49 call-39") { try await it.result(of: id) } }
        let last = try await it.result(of: "call-39") { ($0.token, $0.ledgerBound) = ("next", 8) }
        #expect(last.step == 6)
        #expect(try await it.dump().ledger["t:next"] == "6 begun")
        // Clients may send the results of these calls again, so that the ledger keeps them.
        for id in ids { #expect(try await it.result(of: id).name == "replay", "\(id)") }
    }

    /// Even beyond the limit, the ledger keeps the answered calls of the last two steps with calls,
    /// the keys of their results, and the key of the turn's own message.
    @Test("Entries that the turn may need again stay (I2)", arguments: [1, 2])
    func whatTheTurnNeedsStays(layout: Int) async throws {
        let it = try await ScriptSession()
        var step = 1
        _ = try await it.begin { ($0.token, $0.key, $0.digest, $0.layout) = ("turn", "the-message", "d", layout) }
        var token = "turn"
        for round in 0..<40 {
            let ids = (0..<8).map { "call-\(round)-\($0)" }
            #expect(try await it.commit(token, step, .calls(ids)).name == "committed")
            for id in ids {
                token = "token-\(id)"
                let answer = try await it.result(of: id) {
                    ($0.token, $0.key, $0.digest, $0.layout) = (token, "key-\(id)", "d", layout)
                }
                #expect(["waiting", "started"].contains(answer.name))
            }
            step += 1
            let answered = ids + (round > 0 ? (0..<8).map { "call-\(round - 1)-\($0)" } : [])
            for id in answered {
                // The client sends the same result again, with its key and without.
                #expect(try await it.result(of: id).name == "replay", "round \(round), \(id)")
                #expect(try await it.result(of: id) { ($0.key, $0.digest) = ("key-\(id)", "other") }.name == "idempotency_mismatch")
            }
            try await it.refused("replay 1 \(1 + (round + 1) * 9)") { try await it.begin { ($0.key, $0.digest) = ("the-message", "d") } }
        }
        #expect(try await it.dump().ledger.count <= 256 + 64)
    }

    /// Clients may send all 128 results again, each with a key.
    @Test("All 128 calls of a large completion stay")
    func aLargeAnswersCallsStay() async throws {
        let (it, token) = try await ScriptSession.running { $0.layout = 2 }
        let ids = (0..<128).map { "call-\($0)" }
        _ = try await it.commit(token, 1, .calls(ids))
        for id in ids {
            _ = try await it.result(of: id) { ($0.key, $0.digest, $0.layout) = ("key-\(id)", "d", 2) }
        }
        for id in ids { #expect(try await it.result(of: id) { ($0.key, $0.digest) = ("key-\(id)", "d") }.name == "replay", "\(id)") }
    }

    /// Calls of a step before the running one can be open only after an edit by hand.
    @Test("Open calls of an older step stay")
    func openCallsOfAnOlderStepStay() async throws {
        let it = try await ScriptSession()
        try await turns(1...4, in: it, bound: 8)
        for index in 0..<20 { try await it.command("HSET", it.keys.ledger, "c:old-\(index)", "1 \(index) pending read_file") }
        try await turns(5...6, in: it, bound: 8)
        #expect(try await it.dump().ledger.values.count { $0.contains(" pending ") } == 20)
    }
}
