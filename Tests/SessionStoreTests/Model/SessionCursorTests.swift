import SessionStore
import Testing

@Suite("Cursors of the session list")
struct SessionCursorTests {
    @Test("A written cursor reads back", arguments: ["0-a", "1700000000000-s-1", "9223372036854775807-a:b_c.D"])
    func aCursorIsReadAsItIsWritten(text: String) throws {
        #expect(try #require(SessionCursor(text, tenant: .standard)).description == text)
    }

    @Test(
        "Text of any other form is refused",
        arguments: ["", "-", "a", "1", "1-", "-1-a", "x-a", "1-a b", "9223372036854775808-a", "1.5-a", "-a"]
    )
    func whatIsNoCursorIsRefused(text: String) {
        #expect(SessionCursor(text, tenant: .standard) == nil)
    }
}
