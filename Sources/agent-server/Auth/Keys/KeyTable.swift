import Foundation
import SessionStore

/// The keys of this replica at one moment, and what its tenants' subjects may use.
struct KeyTable: Sendable {
    /// What one key opens.
    private struct Entry {
        var principal: Principal
        /// When the key begins to open; nil for always.
        var notBefore: Date?
    }

    /// A shorter key can be guessed. Beside a keys file it is refused.
    static let shortestKey = 16

    private var entries: [KeyDigest: Entry] = [:]
    private var tenants: [TenantID: TenantPolicy] = [:]
    /// The limits of each account for which the keys file sets none.
    private let limits: UsageLimits
    /// The limits that keys give to the subjects that they name.
    private var subjects: [TenantID: [Subject: UsageLimits]] = [:]
    /// The length below which no text is a key.
    private var shortest = 1

    /// - Parameters:
    ///   - internalKey: The key that opens everything in the standard tenant.
    ///   - limits: The limits of each account for which the keys file sets none.
    init(internalKey: String?, limits: UsageLimits = .none) {
        self.limits = limits
        if let internalKey {
            entries[KeyDigest(of: internalKey)] = Entry(principal: .unrestricted("internal", limits: limits))
        }
    }

    /// - Parameters:
    ///   - internalKey: The key that opens everything in the standard tenant.
    ///   - file: The content of the keys file.
    ///   - limits: The limits of each account for which the file sets none.
    /// - Throws: ``CredentialFileError`` if the file has the internal key.
    init(internalKey: String?, file: KeysFile, limits: UsageLimits = .none) throws(CredentialFileError) {
        self.init(internalKey: internalKey, limits: limits)
        tenants = file.tenants
        shortest = Self.shortestKey
        for key in file.keys {
            if let subject = key.subject, let limits = key.limits { subjects[key.tenant, default: [:]][subject] = limits }
        }
        for key in file.keys {
            guard entries[key.digest] == nil else {
                throw CredentialFileError("\(key.id) has the sha256 of \(Setting.internalAPIKey.name), which has all rights")
            }
            entries[key.digest] = Entry(principal: principal(of: key), notBefore: key.notBefore)
        }
    }

    private func principal(of key: KeysFile.Key) -> Principal {
        var principal = Principal(
            tenant: key.tenant, requester: .tenant, scopes: key.scopes, accounts: [], credential: key.id, expiresAt: key.notAfter)
        if let subject = key.subject {
            principal.requester = .subject(subject)
            principal.accounts = [Account(subject, tenant: key.tenant, limits: limits(of: subject, in: key.tenant))]
        } else {
            principal.accounts = [Account(key: key.id, tenant: key.tenant, limits: key.limits ?? limits)]
        }
        return principal
    }

    /// Returns what a key opens; nil for an unknown one.
    ///
    /// - Parameters:
    ///   - digest: The digest of the presented text.
    ///   - length: The text's length in bytes.
    /// - Throws: ``AuthFailure`` for a key whose time is over, or has not come.
    func principal(_ digest: KeyDigest, length: Int, now: @autoclosure () -> Date = Date()) throws(AuthFailure) -> Principal? {
        guard length >= shortest, let entry = entries[digest] else { return nil }
        if let end = entry.principal.expiresAt, now() >= end { throw AuthFailure(.expired, credential: entry.principal.credential) }
        if let start = entry.notBefore, now() < start { throw AuthFailure(.early, credential: entry.principal.credential) }
        return entry.principal
    }

    /// Returns what a subject may use: its own limits, or those that its tenant gives to each
    /// subject.
    func limits(of subject: Subject, in tenant: TenantID) -> UsageLimits {
        subjects[tenant]?[subject] ?? policy(of: tenant).limits ?? limits
    }

    /// Returns what holds for a tenant.
    func policy(of tenant: TenantID) -> TenantPolicy { tenants[tenant] ?? TenantPolicy() }
}
