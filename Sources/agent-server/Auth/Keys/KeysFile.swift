import Foundation
import JSONText
import NIOCore
import SessionStore

/// The content of a keys file, checked: `{"keys":[…],"tenants":{…}}`. docs/security.md describes its
/// members.
struct KeysFile: Sendable {
    /// One key, without its text.
    struct Key: Sendable {
        var id: String
        var digest: KeyDigest
        var tenant: TenantID
        /// Nil for a key that acts for the whole tenant.
        var subject: Subject?
        var scopes: Scopes
        /// When the key begins to open; nil for always.
        var notBefore: Date?
        /// When the key ends; nil for never.
        var notAfter: Date?
        /// Nil if the entry names none.
        var limits: UsageLimits?
    }

    /// A larger file is the wrong one. A Kubernetes secret cannot be larger either.
    static let maximumBytes = 1 << 20
    static let maximumKeys = 10_000

    private(set) var keys: [Key] = []
    private(set) var tenants: [TenantID: TenantPolicy] = [:]

    /// - Throws: ``CredentialFileError`` for the first entry at fault.
    init(parsing bytes: ByteBuffer) throws(CredentialFileError) {
        let value: JSONSlice
        do { value = try JSONSlice(parsing: bytes) } catch { throw CredentialFileError(error, in: bytes) }
        let file = try FileObject(value, "the file", members: ["keys", "tenants"])
        let list = try file.required("keys", "must be an array") { $0.kind == .array ? Array($0.elements) : nil }
        guard list.count <= Self.maximumKeys else { throw file.failure("keys", "more than \(Self.maximumKeys) entries") }
        for (index, entry) in list.enumerated() { keys.append(try Key(entry, "keys[\(index)]")) }
        for member in try file.value("tenants", "must be an object", { $0.kind == .object ? $0.members : nil }).map(Array.init) ?? [] {
            guard let tenant = TenantID(named: member.key.string) else { throw file.failure("tenants", "a tenant \(TenantID.rule)") }
            guard tenants[tenant] == nil else { throw file.failure("tenants", "\(tenant) is there twice") }
            tenants[tenant] = try TenantPolicy(member.value, "tenants, \(tenant)")
        }
        try checkTogether()
    }

    /// Refuses two keys with one id or one digest, and keys that give one subject different limits.
    private func checkTogether() throws(CredentialFileError) {
        var ids: [String: Int] = [:]
        var digests: [KeyDigest: Int] = [:]
        var limits: [Owner: Int] = [:]
        for (index, key) in keys.enumerated() {
            if let other = ids.updateValue(index, forKey: key.id) {
                throw CredentialFileError("keys[\(other)] and keys[\(index)] have the same id, \(key.id)")
            }
            if let other = digests.updateValue(index, forKey: key.digest) {
                throw CredentialFileError("keys[\(other)] (\(keys[other].id)) and keys[\(index)] (\(key.id)) have the same sha256")
            }
            guard let subject = key.subject, key.limits != nil else { continue }
            let owner = Owner(tenant: key.tenant, subject: subject)
            if let other = limits.updateValue(index, forKey: owner), keys[other].limits != key.limits {
                throw CredentialFileError(
                    "keys[\(other)] (\(keys[other].id)) and keys[\(index)] (\(key.id)) give one subject different limits")
            }
        }
    }

    private struct Owner: Hashable {
        var tenant: TenantID
        var subject: Subject
    }
}
