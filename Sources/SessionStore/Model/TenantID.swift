/// The name of a tenant: 1–64 characters of `A-Z a-z 0-9 . _ -`.
///
/// The tenant is a part of each of its keys in Redis. A request therefore cannot name a session of
/// another tenant. The standard tenant has no name, and its keys have none in them.
public struct TenantID: Sendable, Hashable, CustomStringConvertible {
    /// The number of characters that a name may have.
    public static let maximumLength = 64

    /// The tenant of sessions that were made without tenants.
    public static let standard = TenantID(checked: "")

    /// The name; empty for the standard tenant.
    public let text: String

    private init(checked text: String) {
        self.text = text
    }

    /// Returns nil if `text` is empty, too long, or contains another character. `default` is the
    /// standard tenant's name in the index, and no other tenant may have it.
    public init?(_ text: some StringProtocol) {
        guard 1...Self.maximumLength ~= text.utf8.count, text.utf8.allSatisfy(Self.isAllowed), text != "default" else { return nil }
        self.text = String(text)
    }

    /// Whether this is the tenant without a name.
    public var isStandard: Bool { text.isEmpty }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default:
            false
        }
    }

    public var description: String { isStandard ? "default" : text }
}
