import Foundation
import JSONText
import NIOCore
import SessionStore
import TestSupport
import Testing

@testable import agent_server

/// `Tests/Fixtures/tokens/make.py` has made the tokens, with another library.
@Suite("Tokens of a foreign issuer")
struct ForeignTokenTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Fixtures/tokens")

    private static func tokens(_ kind: String) -> [(name: String, token: String)] {
        let text = (try? String(contentsOf: folder.appending(path: "tokens.json"), encoding: .utf8)) ?? ""
        let tokens = (try? JSON(text))?[kind].object ?? [:]
        return tokens.sorted { $0.key < $1.key }.compactMap { name, token in token.string.map { (name, $0) } }
    }

    private func verifier() async throws -> TokenVerifier {
        let keys = ByteBuffer(bytes: try Data(contentsOf: Self.folder.appending(path: "keys.json")))
        let store = CredentialStore(KeyTable(internalKey: nil))
        store.replace(try await IssuerKeys(parsing: keys))
        var rules = TokenRules(issuer: "https://issuer.example/", audience: "agents")
        rules.tenantClaim = "realm.tenant"
        return TokenVerifier(rules: rules, store: store, source: nil)
    }

    private let now = Date(timeIntervalSince1970: 1_800_000_000)

    @Test("Tokens of RS256, ES256 and EdDSA are accepted", arguments: tokens("accepted"))
    func accepted(_ name: String, token: String) async throws {
        let verifier = try await verifier()
        for _ in 0..<2 {
            let principal = try await verifier.principal(of: token, KeyDigest(of: token), now: now)
            let (tenant, subject) = (try #require(TenantID("acme")), try #require(Subject("alice")))
            #expect(principal.tenant == tenant && principal.requester == .subject(subject), "\(name)")
            #expect(principal.scopes == [.read, .write] && principal.accounts == [Account(subject, tenant: tenant)])
            #expect(principal.credential == "jwt" && (principal.expiresAt?.timeIntervalSince1970).map { Int($0) } == 4_070_908_800)
        }
        #expect(verifier.store.current.tokens.count == 1)
    }

    @Test("Tokens with anything at fault are refused, again and again", arguments: tokens("refused"))
    func refused(_ name: String, token: String) async throws {
        let verifier = try await verifier()
        for _ in 0..<2 {
            let failure = await #expect(throws: AuthFailure.self, "\(name)") {
                try await verifier.principal(of: token, KeyDigest(of: token), now: now)
            }
            #expect(failure?.problem.code == "unauthorized" && failure?.credential == "jwt")
            let detail = failure?.detail ?? ""
            #expect(!["alice", "bob", "issuer.example", "logout", "a/b"].contains { detail.contains($0) }, "\(detail)")
        }
        #expect(verifier.store.current.tokens.count == 0)
    }

    @Test("A token in which any character has changed is refused")
    func changedTokens() async throws {
        let verifier = try await verifier()
        let token = try #require(Self.tokens("accepted").first { $0.name == "ed" }?.token)
        let characters = Array(token)
        for index in characters.indices {
            var changed = characters
            changed[index] = characters[index] == "A" ? "B" : "A"
            let text = String(changed)
            await #expect(throws: AuthFailure.self, "\(index)") { try await verifier.principal(of: text, KeyDigest(of: text), now: now) }
        }
    }

    @Test("All tokens are there, and each key that must not verify is left out")
    func theFixtures() async throws {
        #expect(Self.tokens("accepted").count == 8 && Self.tokens("refused").count == 32)
        let keys = try await verifier().store.current.issuer
        #expect(keys.count == 3 && ["rsa", "ec", "ed"].allSatisfy(keys.knows))
    }
}

@Suite("What tokens say, and for how long")
struct TokenRulesTests {
    private let issuer = TestIssuer()
    private let now = Date(timeIntervalSince1970: 1_000_000)

    init() { issuer.publish("one") }

    private func verifier(_ change: (inout TokenRules) -> Void = { _ in }) async throws -> TokenVerifier {
        var rules = TokenRules(issuer: TestIssuer.name, audience: TestIssuer.audience)
        change(&rules)
        let store = CredentialStore(KeyTable(internalKey: nil))
        store.replace(try await IssuerKeys(parsing: ByteBuffer(string: issuer.keySet)))
        return TokenVerifier(rules: rules, store: store, source: nil)
    }

    private func open(_ verifier: TokenVerifier, _ claims: [String: JSON], at now: Date) async throws(AuthFailure) -> Principal {
        guard let token = try? issuer.token("one", claims) else { throw AuthFailure(.missing) }
        return try await verifier.principal(of: token, KeyDigest(of: token), now: now)
    }

    /// The cache must not keep a token longer than a check would.
    @Test("A token is accepted until its exp and the leeway, also from the cache")
    func times() async throws {
        let verifier = try await verifier { $0.leeway = .seconds(10) }
        let token = try issuer.token("one", ["exp": 1_000_000, "nbf": 999_000])
        func failure(_ time: TimeInterval) async -> AuthFailure.Reason? {
            do throws(AuthFailure) {
                let now = Date(timeIntervalSince1970: time)
                _ = try await verifier.principal(of: token, KeyDigest(of: token), now: now)
                return nil
            } catch { return error.reason }
        }
        #expect(await failure(998_989) == .early)
        for time in [998_990.0, 999_000, 1_000_000, 1_000_009] { #expect(await failure(time) == nil) }
        #expect(await failure(1_000_010) == .expired)
    }

    @Test("Claims may be in objects, and may have dots in their names")
    func namesOfClaims() async throws {
        let verifier = try await verifier {
            $0.tenantClaim = "https://acme.example/tenant"
            $0.subjectClaim = "user.id"
            $0.scopeClaim = "scp"
        }
        let principal = try await open(
            verifier,
            [
                "exp": 2_000_000, "https://acme.example/tenant": "default", "user": ["id": "bob"], "sub": "alice",
                "scp": ["sessions:read", "sessions:list admin", "profile"], "scope": "*",
            ], at: now)
        let bob = try #require(Subject("bob"))
        #expect(principal.tenant == .standard && principal.requester == .subject(bob))
        #expect(principal.scopes == [.read, .list, .admin])
    }

    @Test("A token without scopes opens nothing, and with a text as user only that user's sessions")
    func scopesAndUsers() async throws {
        let verifier = try await verifier()
        #expect(try await open(verifier, ["exp": 2_000_000, "scope": .null], at: now).scopes == [])
        #expect(try await open(verifier, ["exp": 2_000_000, "scope": 7], at: now).scopes == [])
        for subject in ["*", "", 7, .null, "a\nb"] as [JSON] {
            await #expect(throws: AuthFailure.self) { try await open(verifier, ["exp": 2_000_000, "sub": subject], at: now) }
        }
    }

    @Test("The limits of a token's user come from the keys file, also after it has changed")
    func limits() async throws {
        let verifier = try await verifier()
        let token = try issuer.token("one", ["exp": 2_000_000])
        func streams() async throws -> [Int?] {
            try await verifier.principal(of: token, KeyDigest(of: token), now: now).accounts.map(\.limits.streams)
        }
        #expect(try await streams() == [nil])
        let file = try KeyFiles.parse(KeyFiles.text([], tenants: ["default": ["limits": ["streams": 4]]]))
        verifier.store.replace(try KeyTable(internalKey: nil, file: file))
        #expect(try await streams() == [4])
        let own = try KeyFiles.parse(KeyFiles.text([KeyFiles.entry("a", ["subject": "alice", "limits": ["streams": 2]])]))
        verifier.store.replace(try KeyTable(internalKey: nil, file: own))
        #expect(try await streams() == [2])
    }

    @Test("The tokens of a withdrawn key are refused, although they were verified")
    func withdrawnKeys() async throws {
        let verifier = try await verifier()
        issuer.publish("two")
        verifier.store.replace(try await IssuerKeys(parsing: ByteBuffer(string: issuer.keySet)))
        let token = try issuer.token("one", ["exp": 2_000_000])
        _ = try await verifier.principal(of: token, KeyDigest(of: token), now: now)
        issuer.withdraw("one")
        verifier.store.replace(try await IssuerKeys(parsing: ByteBuffer(string: issuer.keySet)))
        await #expect(throws: AuthFailure.self) { try await verifier.principal(of: token, KeyDigest(of: token), now: now) }
    }

    @Test("The cache has a limit, and keeps the tokens that are used")
    func theCache() throws {
        let cache = TokenCache()
        func digest(_ index: Int) -> KeyDigest { KeyDigest(of: "\(index)") }
        let principal = Principal.unrestricted("jwt")
        for index in 0..<(3 * TokenCache.capacity) {
            cache.insert(principal, digest(index), until: now.addingTimeInterval(1))
            if index % 1000 == 0 { #expect(cache.principal(digest(0), at: now) != nil, "\(index)") }
        }
        #expect(cache.count <= TokenCache.capacity)
        #expect(cache.principal(digest(1), at: now) == nil && cache.principal(digest(0), at: now.addingTimeInterval(1)) == nil)
    }

    @Test("Sets of keys that cannot be used are errors")
    func keySets() async throws {
        for text in ["", "{}", #"{"keys":{}}"#, #"{"keys":[]}"#, #"{"keys":[{"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB"}]}"#] {
            await #expect(throws: CredentialFileError.self, "\(text)") { try await IssuerKeys(parsing: ByteBuffer(string: text)) }
        }
    }

    @Test("base64url is read strictly")
    func base64() {
        for bytes in [[], [0], [0, 255], [1, 2, 3], [255, 255, 255, 255]] as [[UInt8]] {
            #expect(Base64URL.bytes(of: Base64URL.text(of: bytes).utf8) == bytes)
        }
        #expect(Base64URL.text(of: [251, 255]) == "-_8")
        for text in ["A", "AA=", "AB", "A+", "A/AA", "A A", "ÄÄÄ"] { #expect(Base64URL.bytes(of: text.utf8) == nil, "\(text)") }
    }
}
