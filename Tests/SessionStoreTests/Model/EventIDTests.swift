import SessionStore
import TestSupport
import Testing

@Suite("Event ids")
struct EventIDTests {
    @Test("A written id reads back", arguments: ["1-0.a", "7-12.k3f9", "9223372036854775807-9223372036854775807.zz99", "10-1.0"])
    func readsWhatItWrites(text: String) throws {
        #expect(try #require(EventID(text)).description == text)
    }

    @Test(
        "Text of any other form is refused",
        arguments: [
            "", "-", ".", "-.", "1", "1-", "1-2", "1-2.", "1.2-3", "0-1.a", "-1-1.a", "1--1.a", "+1-1.a", "1-+1.a", "01-1.a", "1-01.a",
            "1-1.A", "1-1.a b", "1-1.a\n", " 1-1.a", "1-1 .a", "1-1.ü", "1-1.a.b", "1-1-1.a", "x-1.a", "1-x.a", "1-1.1-1.a",
            "9223372036854775808-1.a", "1-9223372036854775808.a", "1e3-1.a", "0x1-1.a", "１-1.a", "1-1.\u{301}a", "1-0.-", "\0",
            "1-1." + String(repeating: "a", count: 61),
        ]
    )
    func takesNothingElse(text: String) {
        #expect(EventID(text) == nil)
    }

    @Test("Ids grow by step and then by sequence")
    func growsByStepAndThenBySequence() {
        var random = SeededGenerator(seed: 1)
        let ids = [(1, 0), (1, 1), (1, 2), (1, 10), (2, 0), (2, 3), (10, 0), (10, 1), (11, 0)].map {
            EventID(step: $0.0, sequence: $0.1, nonce: ["zzzz", "aaaa"].randomElement(using: &random) ?? "")
        }
        #expect(ids.shuffled(using: &random).sorted() == ids)
        #expect(!(EventID(step: 1, sequence: 1, nonce: "a") < EventID(step: 1, sequence: 1, nonce: "b")))
        #expect(EventID(step: 1, sequence: 1, nonce: "a") != EventID(step: 1, sequence: 1, nonce: "b"))
    }

    @Test("A mutated id is refused or read back unchanged", arguments: 0..<4)
    func mutatedIdsAreRefusedOrUnchanged(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let alphabet = Array("0123456789-.+ aZz\u{301}\0")
        var accepted = 0
        for _ in 0..<20_000 {
            var text = Array("\(Int.random(in: 1...30, using: &random))-\(Int.random(in: 0...30, using: &random)).k3f9")
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = text.indices.randomElement(using: &random) ?? 0
                text[place] = alphabet.randomElement(using: &random) ?? "-"
            }
            guard let id = EventID(String(text)) else { continue }
            accepted += 1
            #expect(Array(id.description.utf8) == Array(String(text).utf8), "seed \(seed)")
        }
        #expect(accepted > 100)
    }
}
