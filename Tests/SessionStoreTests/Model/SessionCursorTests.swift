import SessionStore
import Testing

@Suite struct SessionCursorTests {
    @Test(arguments: ["0-a", "1700000000000-s-1", "9223372036854775807-a:b_c.D"]) func aCursorIsReadAsItIsWritten(text: String) throws {
        #expect(try #require(SessionCursor(text)).description == text)
    }

    @Test(arguments: ["", "-", "a", "1", "1-", "-1-a", "x-a", "1-a b", "9223372036854775808-a", "1.5-a", "-a"])
    func whatIsNoCursorIsRefused(text: String) {
        #expect(SessionCursor(text) == nil)
    }
}
