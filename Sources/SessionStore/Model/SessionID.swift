/// The name of a session: 1–128 characters of `A-Z a-z 0-9 . _ : -`, but not `.` or `..`, which
/// clients remove from a URL's path (RFC 3986, section 5.2.4).
///
/// The alphabet has no braces, so that an id can stand in a Redis hash tag, and no character that a
/// URL path or a log line must escape.
public struct SessionID: Sendable, Hashable, CustomStringConvertible {
    /// The number of characters that an id may have.
    public static let maximumLength = 128

    /// The id as text.
    public let text: String

    /// Returns nil if `text` is empty, too long, `.` or `..`, or contains another character.
    public init?(_ text: some StringProtocol) {
        guard !text.isEmpty, text.utf8.count <= Self.maximumLength, text.utf8.allSatisfy(Self.isAllowed), text != ".",
            text != ".."
        else { return nil }
        self.text = String(text)
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "-"):
            true
        default:
            false
        }
    }

    public var description: String { text }
}
