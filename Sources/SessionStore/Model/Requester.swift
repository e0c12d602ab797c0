/// The user in whose name a request acts, within a tenant: 1–255 bytes of UTF-8 without control
/// characters and without U+FFFD, which stands for text that was not valid.
///
/// Two subjects are equal if their bytes are (RFC 7519, section 7.3), as in Redis. Swift calls two
/// strings equal if they only look the same: "é" has two forms in Unicode, and they are two users.
public struct Subject: Sendable, Hashable, CustomStringConvertible {
    /// The number of bytes that a subject may have (OpenID Connect Core, section 2: `sub`).
    public static let maximumLength = 255

    /// The subject as its credential names it.
    public let text: String

    /// Returns nil if `text` is empty, too long, `*`, or contains a control character or
    /// U+FFFD.
    public init?(_ text: some StringProtocol) {
        guard 1...Self.maximumLength ~= text.utf8.count, text != "*", text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }),
            !text.unicodeScalars.contains("\u{FFFD}")
        else { return nil }
        self.text = String(text)
    }

    /// Returns whether `text` has the bytes of this subject.
    package func isNamed(_ text: String) -> Bool { self.text.utf8.elementsEqual(text.utf8) }

    public static func == (one: Subject, other: Subject) -> Bool { one.isNamed(other.text) }

    public func hash(into hasher: inout Hasher) {
        for byte in text.utf8 { hasher.combine(byte) }
    }

    public var description: String { text }
}

/// Who asks for a session, within the tenant that the session's name holds.
///
/// A session belongs to the subject that created it. Every other subject gets the same reply as for
/// a session that does not exist. The standard tenant's sessions without an owner are open to all
/// of its subjects: they were created before there were subjects, or by a key without one.
public enum Requester: Sendable, Hashable {
    /// A key that acts for the whole tenant, or the server itself. It reaches every session of the
    /// tenant, and the sessions that it creates have no owner.
    case tenant
    /// A user. It reaches its own sessions.
    case subject(Subject)

    /// The subject as it stands in a session's state; empty for ``tenant``.
    package var owner: String {
        switch self {
        case .tenant: ""
        case .subject(let subject): subject.text
        }
    }

    /// Returns whether this requester may see a session.
    ///
    /// - Parameters:
    ///   - session: The session.
    ///   - owner: The subject in the session's state; empty or nil if it has none.
    package func reaches(_ session: SessionID, ownedBy owner: String?) -> Bool {
        switch self {
        case .tenant: true
        case .subject(let subject):
            if let owner, !owner.isEmpty { subject.isNamed(owner) } else { session.tenant.isStandard }
        }
    }
}
