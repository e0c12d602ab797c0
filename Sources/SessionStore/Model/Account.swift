/// Whose usage a request counts for: a subject's, or that of a key which acts for a whole tenant.
///
/// All keys of a subject share the subject's account. A request that a tenant's key makes in a
/// subject's name counts for both accounts.
public struct Account: Sendable, Hashable {
    /// The tenant.
    public let tenant: TenantID
    /// The account's name in keys: a subject with its unusual bytes percent-encoded, or `*` and a
    /// key's id.
    package let name: String
    /// What the account may use.
    public internal(set) var limits: UsageLimits

    /// - Parameters:
    ///   - subject: A user.
    ///   - tenant: The user's tenant.
    ///   - limits: What the user may use.
    public init(_ subject: Subject, tenant: TenantID, limits: UsageLimits = .none) {
        self.tenant = tenant
        name = Self.encoded(subject.text)
        self.limits = limits
    }

    /// - Parameters:
    ///   - key: The id of a key that acts for the whole tenant.
    ///   - tenant: The key's tenant.
    ///   - limits: What the key may use.
    public init(key: String, tenant: TenantID, limits: UsageLimits = .none) {
        self.tenant = tenant
        name = "*" + Self.encoded(key)
        self.limits = limits
    }

    /// The account as keys and states name it: `TENANT/NAME`, with an empty tenant for the standard
    /// one.
    package var text: String { "\(tenant.text)/\(name)" }

    /// Reads ``text``; nil for anything else.
    init?(text: some StringProtocol, limits: UsageLimits) {
        guard let slash = text.firstIndex(of: "/") else { return nil }
        let name = text[text.index(after: slash)...]
        guard let tenant = slash == text.startIndex ? .standard : TenantID(text[..<slash]), !name.isEmpty else { return nil }
        (self.tenant, self.name, self.limits) = (tenant, String(name), limits)
    }

    /// Encodes every byte but `A-Z a-z 0-9 . _ @ -` as `%` and two hexadecimal digits, so that the
    /// name can stand in a hash tag.
    package static func encoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "@"):
                bytes.append(byte)
            default:
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
