/// A session: a tenant, and the session's id within the tenant.
///
/// An id has 1–128 characters of `A-Z a-z 0-9 . _ : -`. It is not `.` or `..`, because clients
/// remove these from a URL's path (RFC 3986, section 5.2.4). Since the alphabet has no braces, an
/// id can stand in a Redis hash tag. None of its characters is escaped in a URL's path or in a log
/// line.
public struct SessionID: Sendable, Hashable, CustomStringConvertible {
    /// The number of characters that an id may have.
    public static let maximumLength = 128

    /// The tenant that has the session. It comes from the client's credential, never from the
    /// client's request.
    public let tenant: TenantID
    /// The id within the tenant, as clients write it.
    public let text: String
    /// The session's name in Redis: the id for the standard tenant, `TENANT/ID` for all others. No
    /// alphabet has the slash, so that no two sessions share a name.
    package let name: String

    /// Returns nil if `text` is empty, too long, `.` or `..`, or contains another character.
    public init?(_ text: some StringProtocol, tenant: TenantID = .standard) {
        guard Self.isID(text) else { return nil }
        self.tenant = tenant
        self.text = String(text)
        name = tenant.isStandard ? self.text : "\(tenant.text)/\(self.text)"
    }

    /// Reads a session's name in Redis; nil for anything else.
    package init?(name: some StringProtocol) {
        guard let slash = name.firstIndex(of: "/") else {
            self.init(name)
            return
        }
        guard let tenant = TenantID(name[..<slash]) else { return nil }
        self.init(name[name.index(after: slash)...], tenant: tenant)
    }

    private static func isID(_ text: some StringProtocol) -> Bool {
        !text.isEmpty && text.utf8.count <= maximumLength && text.utf8.allSatisfy(isAllowed) && text != "." && text != ".."
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

    public static func == (one: SessionID, other: SessionID) -> Bool { one.name == other.name }
    public func hash(into hasher: inout Hasher) { name.hash(into: &hasher) }

    /// The id within the tenant. The package's `name` is what keys and messages between replicas have.
    public var description: String { text }
}
