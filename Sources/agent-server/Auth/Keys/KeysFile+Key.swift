import Foundation
import JSONText
import SessionStore

extension KeysFile.Key {
    static let maximumIDLength = 64
    /// The names of other credentials in logs and accounts.
    private static let reservedIDs: Set = ["internal", "none", "jwt", "ticket", "cookie"]

    init(_ value: JSONSlice, _ path: String) throws(CredentialFileError) {
        var entry = try FileObject(
            value, path, members: ["id", "sha256", "tenant", "subject", "scopes", "not_before", "not_after", "limits"])
        id = try entry.required("id", Self.idRule) { $0.string.flatMap { Self.isID($0) ? $0 : nil } }
        entry.path += " (\(id))"
        digest = try entry.required("sha256", "must be 64 hexadecimal digits") { $0.string.flatMap { KeyDigest(hexadecimal: $0) } }
        tenant = try entry.value("tenant", TenantID.rule) { $0.string.flatMap { TenantID(named: $0) } } ?? .standard
        subject = try entry.required("subject", #"must be "*", or the name of a user: \#(Subject.rule)"#) { value in
            value.string.flatMap { $0 == "*" ? .some(nil) : Subject($0).map { .some($0) } }
        }
        scopes = try entry.required("scopes", "must be an array of \(Scopes.rule)") { Scopes(names: $0) }
        notBefore = try entry.date("not_before")
        notAfter = try entry.date("not_after")
        if let notBefore, let notAfter, notBefore >= notAfter { throw entry.failure("not_after", "must be later than not_before") }
        limits = try entry.object("limits", members: UsageLimits.members).map { object throws(CredentialFileError) in
            try UsageLimits(object)
        }
    }

    static let idRule = """
        must be 1–\(maximumIDLength) of A-Z a-z 0-9 . _ -, and none of \(reservedIDs.sorted().joined(separator: ", "))
        """

    /// Returns whether a key may have this id.
    static func isID(_ text: String) -> Bool {
        1...maximumIDLength ~= text.utf8.count && !reservedIDs.contains(text)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }
}

extension UsageLimits {
    static let members: Set = ["streams", "requests_per_minute", "tokens_per_minute", "tokens_per_day"]

    init(_ object: FileObject) throws(CredentialFileError) {
        self.init(
            streams: try object.integer("streams", in: 1...1_000_000),
            requestsPerMinute: try object.integer("requests_per_minute", in: 1...1_000_000),
            tokensPerMinute: try object.integer("tokens_per_minute", in: 1...1_000_000_000_000),
            tokensPerDay: try object.integer("tokens_per_day", in: 1...1_000_000_000_000))
    }
}

extension TenantPolicy {
    init(_ value: JSONSlice, _ path: String) throws(CredentialFileError) {
        let object = try FileObject(value, path, members: ["session_max_age", "limits"])
        sessionMaxAge = try object.integer("session_max_age", in: 1...1_000_000_000).map { .seconds($0) }
        if let limits = try object.object("limits", members: UsageLimits.members) { self.limits = try UsageLimits(limits) }
    }
}

extension TenantID {
    static let rule = "must be 1–\(maximumLength) of A-Z a-z 0-9 . _ -"

    /// Reads a name in a file or a token; `default` is the standard tenant's.
    init?(named name: String) {
        if name == TenantID.standard.description { self = .standard } else { self.init(name) }
    }
}

extension Subject {
    static let rule = "1–\(maximumLength) bytes without control characters"
}
