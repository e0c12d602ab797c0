import TestSupport
import Testing

@testable import failover_drill

@Suite("The schedule of faults")
struct ScheduleTests {
    private func schedule(_ seed: UInt64, names: [String] = ["a", "b", "c"]) -> Schedule {
        Schedule(names: names, every: .seconds(10), duration: .seconds(100), seed: seed)
    }

    @Test("The same seed gives the same schedule")
    func theSameSeedIsTheSameSchedule() {
        #expect(schedule(1).entries == schedule(1).entries)
        #expect(schedule(1).entries != schedule(2).entries)
    }

    /// After every fault, enough time remains for the deployment to recover.
    @Test("Each kind of fault comes before any kind repeats, and none too late", arguments: 1...20)
    func allKindsCome(seed: Int) {
        let entries = schedule(UInt64(seed)).entries
        #expect(entries.map(\.at) == (1...9).map { .seconds($0 * 10) })
        for first in [0, 3, 6] { #expect(Set(entries[first..<first + 3].map(\.name)) == ["a", "b", "c"]) }
        #expect(schedule(1, names: []).entries.isEmpty)
    }

    @Test("A plan is read from its message")
    func aPlanIsReadFromItsMessage() {
        let plan = Plan(rounds: 2, calls: 3, tokens: 40)
        #expect(Plan(in: "message 7: \(plan.text)") == plan)
        for text in ["", "[rounds 1]", "[rounds x, calls 1, tokens 1]", "[rounds 99999999999999999999, calls 1, tokens 1]"] {
            #expect(Plan(in: text) == nil)
        }
    }

    @Test("A fault command has a name")
    func aCommandHasAName() {
        #expect(FaultCommand("restart=kubectl rollout restart x=y")?.command == "kubectl rollout restart x=y")
        for text in ["", "=", "x=", "=x", "x"] { #expect(FaultCommand(text) == nil, "\(text)") }
    }
}
