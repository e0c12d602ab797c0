import NIOCore
import Testing

@testable import agent_server

@Suite("The limit on lines of refused requests") struct RefusalTableTests {
    private let start = NIODeadline.uptimeNanoseconds(5_000_000_000)

    private func key(_ address: String, _ event: AuditEvent = .authFailed) -> RefusalTable.Key {
        RefusalTable.Key(event: event, address: address)
    }

    @Test("An address gets ten lines a second, and the rest is counted")
    func oneAddress() {
        var table = RefusalTable()
        for _ in 0..<10 { #expect(table.note(key("a"), now: start) == .line) }
        #expect(table.note(key("a"), now: start) == .firstCounted)
        for _ in 0..<5 { #expect(table.note(key("a"), now: start) == .counted) }
        // Another address, or another event, is not affected.
        #expect(table.note(key("b"), now: start) == .line)
        #expect(table.note(key("a", .limitRefused), now: start) == .line)
        let counts = table.takeCounts(start + .seconds(1))
        #expect(counts.count == 1 && counts.first?.key == key("a") && counts.first?.count == 6)
        #expect(table.note(key("a"), now: start + .seconds(1)) == .line)
        #expect(table.takeCounts(start + .seconds(2)).isEmpty)
    }

    @Test("A second later an address has its lines again")
    func anotherSecond() {
        var table = RefusalTable()
        for second in 0..<3 {
            for _ in 0..<10 { #expect(table.note(key("a"), now: start + .seconds(Int64(second))) == .line) }
        }
    }

    @Test("Many addresses get two hundred lines and bounded memory")
    func manyAddresses() {
        var table = RefusalTable()
        var verdicts: [RefusalTable.Verdict] = []
        for number in 0..<10_000 { verdicts.append(table.note(key("address \(number)"), now: start)) }
        #expect(verdicts.count { $0 == .line } == RefusalTable.maximumLines)
        #expect(verdicts.count { $0 == .firstCounted } == 1)
        let counts = table.takeCounts(start + .seconds(1))
        #expect(counts.count <= RefusalTable.maximumAddresses + 1)
        #expect(counts.reduce(0) { $0 + $1.count } == 10_000 - RefusalTable.maximumLines)
        #expect(counts.contains { $0.key.address == RefusalTable.others })
    }
}
