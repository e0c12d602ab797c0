import Foundation
import SessionStore
import TestSupport
import Testing

@testable import agent_server

@Suite("Which key opens what")
struct KeyTableTests {
    private let acme: TenantID
    private let alice: Subject

    init() throws {
        (acme, alice) = (try #require(TenantID("acme")), try #require(Subject("alice")))
    }

    private func table(_ entries: JSON..., tenants: JSON? = nil, internalKey: String? = nil) throws -> KeyTable {
        try KeyTable(internalKey: internalKey, file: KeyFiles.parse(KeyFiles.text(entries, tenants: tenants)))
    }

    private func open(_ table: KeyTable, _ key: String, now: Date = Date()) throws(AuthFailure) -> Principal? {
        try table.principal(KeyDigest(of: key), length: key.utf8.count, now: now)
    }

    @Test("A key has its tenant, its user, its scopes and its account")
    func principals() throws {
        let table = try table(
            KeyFiles.entry("gw", ["tenant": "acme", "scopes": ["sessions:*", "impersonate"], "limits": ["streams": 7]]),
            KeyFiles.entry("al", ["tenant": "acme", "subject": "alice", "scopes": ["sessions:read"], "not_after": "2099-01-01T00:00:00Z"]))
        let gateway = try #require(try open(table, KeyFiles.key("gw")))
        #expect(gateway.tenant == acme && gateway.requester == .tenant && gateway.scopes == [.sessions, .impersonate])
        #expect(gateway.accounts == [Account(key: "gw", tenant: acme, limits: UsageLimits(streams: 7))])
        #expect(gateway.credential == "gw" && gateway.expiresAt == nil)
        let user = try #require(try open(table, KeyFiles.key("al")))
        #expect(user.tenant == acme && user.requester == .subject(alice) && user.scopes == .read)
        #expect(user.accounts == [Account(alice, tenant: acme)] && user.expiresAt == Date(rfc3339: "2099-01-01T00:00:00Z"))
        #expect(try open(table, KeyFiles.key("xx")) == nil)
    }

    @Test("The internal key opens everything in the standard tenant")
    func theInternalKey() throws {
        let key = "sixteen-letters!"
        for table in [KeyTable(internalKey: key), try table(KeyFiles.entry("a"), internalKey: key)] {
            let principal = try #require(try open(table, key))
            #expect(principal.tenant == .standard && principal.requester == .tenant && principal.scopes == .all)
            #expect(principal.credential == "internal" && principal.expiresAt == nil)
        }
        // One key cannot have two meanings.
        #expect(throws: CredentialFileError.self) { try table(KeyFiles.entry("a"), internalKey: KeyFiles.key("a")) }
    }

    @Test("A key opens from not_before until not_after")
    func times() throws {
        let table = try table(KeyFiles.entry("k", ["not_before": "2030-01-01T00:00:00Z", "not_after": "2031-01-01T00:00:00Z"]))
        func opens(_ time: String) throws -> Bool { try open(table, KeyFiles.key("k"), now: #require(Date(rfc3339: time))) != nil }
        #expect(try opens("2030-01-01T00:00:00Z") && opens("2030-12-31T23:59:59Z"))
        let early = #expect(throws: AuthFailure.self) { try opens("2029-12-31T23:59:59Z") }
        let late = #expect(throws: AuthFailure.self) { try opens("2031-01-01T00:00:00Z") }
        #expect(early?.reason == .early && late?.reason == .expired && late?.credential == "k")
        // The client learns the same of all of them.
        for reason in [AuthFailure.Reason.missing, .wrong, .expired, .early] {
            #expect(AuthFailure(reason).problem.code == "unauthorized")
        }
    }

    /// A tool may hash a key that `keys hash` refuses.
    @Test("Beside a keys file, short keys open nothing")
    func shortKeys() throws {
        let short = "fifteen-letters"
        let table = try table(KeyFiles.entry("k", ["sha256": .string(KeyDigest(of: short).hexadecimal)]))
        #expect(try open(table, short) == nil)
        #expect(try open(KeyTable(internalKey: short), short) != nil)
    }

    @Test("A user has the limits of its keys, or else those of its tenant")
    func limits() throws {
        let table = try table(
            KeyFiles.entry("a1", ["tenant": "acme", "subject": "alice", "limits": ["streams": 1]]),
            KeyFiles.entry("a2", ["tenant": "acme", "subject": "alice"]),
            KeyFiles.entry("b1", ["tenant": "acme", "subject": "bob"]), KeyFiles.entry("b2", ["subject": "bob"]),
            tenants: ["acme": ["limits": ["streams": 5], "session_max_age": 60]])
        let bob = try #require(Subject("bob"))
        #expect(table.limits(of: alice, in: acme) == UsageLimits(streams: 1))
        #expect(table.limits(of: bob, in: acme) == UsageLimits(streams: 5))
        #expect(table.limits(of: bob, in: .standard) == .none)
        #expect(table.policy(of: acme).sessionMaxAge == .seconds(60) && table.policy(of: .standard) == TenantPolicy())
        for (key, streams) in [("a1", 1), ("a2", 1), ("b1", 5), ("b2", nil)] as [(String, Int?)] {
            #expect(try open(table, KeyFiles.key(key))?.accounts.map(\.limits.streams) == [streams], "\(key)")
        }
    }

    @Test("A digest is read and written as hexadecimal digits")
    func digests() throws {
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  // FIPS 180-4, "abc"
        #expect(KeyDigest(of: "abc").hexadecimal == text)
        #expect(KeyDigest(hexadecimal: text) == KeyDigest(of: "abc") && KeyDigest(hexadecimal: text.uppercased()) == KeyDigest(of: "abc"))
        #expect(KeyDigest(of: "abd") != KeyDigest(of: "abc"))
        for text in ["", String(text.dropLast()), text + "0", String(text.dropLast()) + "é", String(text.dropLast(2)) + "é"] {
            #expect(KeyDigest(hexadecimal: text) == nil)
        }
    }

    @Test("New keys have 32 random bytes, and an entry that the file takes")
    func newKeys() throws {
        let (one, two) = (NewKey(id: "gw-1", members: [("subject", #""*""#), ("scopes", #"["*"]"#)]), NewKey(id: "gw-1", members: []))
        #expect(one.text != two.text && one.text.wholeMatch(of: /ark_gw-1_[A-Za-z0-9_-]{43}/) != nil)
        let key = try #require(try KeyFiles.parse(#"{"keys":[\#(one.entry)]}"#).keys.first)
        #expect(key.id == "gw-1" && key.digest == KeyDigest(of: one.text))
    }
}
