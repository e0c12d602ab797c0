/// A user whose sessions are to be erased: a member of `agent:erasures`, `TENANT/SUBJECT TIME`.
struct Erasure: Sendable, Equatable {
    let tenant: TenantID
    /// The subject as it stands in keys.
    let subject: String
    /// When the erasure was asked for, in milliseconds since 1970 on Redis's clock. Sessions that
    /// began later stay.
    let requested: Int64

    init(_ subject: Subject, in tenant: TenantID, requested: Int64) {
        self.tenant = tenant
        self.subject = Account.encoded(subject.text)
        self.requested = requested
    }

    /// Parses ``text``; nil for anything else.
    init?(_ text: String) {
        let words = text.split(separator: " ")
        guard words.count == 2, let slash = words[0].firstIndex(of: "/"), let requested = Int64(words[1]) else { return nil }
        let subject = words[0][words[0].index(after: slash)...]
        let name = words[0][..<slash]
        guard let tenant = name.isEmpty ? .standard : TenantID(name), !subject.isEmpty else { return nil }
        (self.tenant, self.subject, self.requested) = (tenant, String(subject), requested)
    }

    /// Returns whether this is an erasure of the same user.
    func isOf(_ other: Erasure) -> Bool { tenant == other.tenant && subject == other.subject }

    var text: String { "\(tenant.text)/\(subject) \(requested)" }
}
