import Testing

@testable import SessionStore

@Suite("Subjects")
struct SubjectTests {
    /// Both look the same. Swift's strings are equal, and Redis's keys are not.
    @Test("Two forms of a letter are two users")
    func twoFormsOfALetter() throws {
        let (one, other) = ("jos\u{E9}", "jose\u{301}")
        #expect(one == other)
        let (composed, decomposed) = (try #require(Subject(one)), try #require(Subject(other)))
        #expect(composed != decomposed && Set([composed, decomposed]).count == 2)
        let session = try #require(SessionID("s"))
        #expect(Requester.subject(composed).reaches(session, ownedBy: one))
        #expect(!Requester.subject(composed).reaches(session, ownedBy: other))
        #expect(!Requester.subject(decomposed).reaches(session, ownedBy: one))
    }

    @Test("A subject has 1–255 bytes and no control character", arguments: ["", "*", "a\u{0}b", "a\nb", "\u{FFFD}"])
    func refused(_ text: String) {
        #expect(Subject(text) == nil && Subject(String(repeating: "x", count: 256)) == nil)
        #expect(Subject(String(repeating: "x", count: 255)) != nil)
    }
}
