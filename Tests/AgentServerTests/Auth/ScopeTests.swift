import Foundation
import HTTPTypes
import HummingbirdTesting
import SessionStore
import TestSupport
import Testing

@testable import agent_server

/// Redis is away: a request that may go on ends with 503, after the check of its scope.
@Suite("Scopes, and acting for a user")
struct ScopeTests {
    private static let scopes: [(name: String, scope: Scopes)] = [
        ("sessions:read", .read), ("sessions:write", .write), ("sessions:cancel", .cancel), ("sessions:delete", .delete),
        ("sessions:list", .list), ("admin", .admin), ("impersonate", .impersonate),
    ]

    private func settings(_ entries: [JSON]) throws -> [String: String] {
        ["AGENT_RUNTIME__KEYS_FILE": try KeyFiles.write(KeyFiles.text(entries)).path]
    }

    /// Sends a request to an endpoint.
    private func send(_ endpoint: Endpoint, _ client: any TestClientProtocol, _ headers: HTTPFields) async throws -> TestResponse {
        let path = endpoint.path.replacing("{session_id}", with: "s")
        return try await client.send(endpoint.method, path, body: endpoint.method == .post ? "{}" : nil, headers: headers)
    }

    @Test("Each endpoint needs its scope, and no other one")
    func scopesOfEndpoints() async throws {
        let keys = Self.scopes.indices.map { KeyFiles.entry("k\($0)", ["scopes": [.string(Self.scopes[$0].name)]]) }
        try await InProcess.router(try settings(keys)) { client in
            for endpoint in Endpoint.allCases {
                for (index, scope) in Self.scopes.enumerated() {
                    let response = try await send(endpoint, client, [.internalAuth: KeyFiles.key("k\(index)")])
                    let needed = endpoint.requiredScope
                    let may = needed.isEmpty || needed == scope.scope
                    #expect((response.status == .forbidden) == !may, "\(endpoint) with \(scope.name): \(response.text)")
                    guard !may else { continue }
                    #expect(response.code == "forbidden" && response.text.contains(needed.description))
                    #expect(response.headers[.wwwAuthenticate] == #"Bearer error="insufficient_scope", scope="\#(needed)""#)
                }
                let bare = try await send(endpoint, client, [:])
                #expect((bare.status == .unauthorized) == !Endpoint.isOpen(endpoint.path), "\(endpoint)")
            }
            // A HEAD request needs what its GET needs, and a path without an endpoint a credential.
            #expect(
                try await client.send(.head, "/agent/sessions/s/history", headers: [.internalAuth: KeyFiles.key("k1")]).status == .forbidden
            )
            #expect(try await client.send(.get, "/nowhere").status == .unauthorized)
            #expect(try await client.send(.get, "/nowhere", headers: [.internalAuth: KeyFiles.key("k1")]).status == .notFound)
        }
    }

    @Test("Names of several scopes")
    func namesOfScopes() {
        #expect(Scopes(name: "sessions:*") == [.read, .write, .cancel, .delete, .list] && Scopes(name: "*") == .all)
        #expect(Scopes(name: "sessions") == nil && Scopes(name: "") == nil && Scopes(name: "Admin") == nil)
        #expect(Scopes([.read, .admin]).description == "admin sessions:read")
        for (name, scope) in Self.scopes { #expect(Scopes(name: name) == scope && scope.description == name) }
    }

    @Test("Keys come in either header, and all that are refused look the same")
    func headers() async throws {
        let keys = [
            KeyFiles.entry("a"), KeyFiles.entry("old", ["not_after": "2020-01-01T00:00:00Z"]),
            KeyFiles.entry("new", ["not_before": "2099-01-01T00:00:00Z"]),
        ]
        try await InProcess.router(try settings(keys)) { client in
            let good = KeyFiles.key("a")
            for headers: HTTPFields in [
                [.internalAuth: good], [.authorization: "Bearer \(good)"], [.authorization: "bEARER \(good)"],
                [.internalAuth: "wrong", .authorization: "Bearer \(good)"], [.internalAuth: good, .authorization: "Basic x"],
            ] {
                #expect(try await client.send(.get, "/openapi.json", headers: headers).status == .ok)
            }
            var bodies: Set<String> = []
            for headers: HTTPFields in [
                [:], [.internalAuth: ""], [.internalAuth: good + "x"], [.internalAuth: KeyFiles.key("old")],
                [.internalAuth: KeyFiles.key("new")], [.authorization: good], [.authorization: "Basic \(good)"], [.authorization: "Bearer"],
                [.authorization: "Bearer  \(good)"], [.internalAuth: String(repeating: "x", count: 17 << 10)],
                [.internalAuth: KeyDigest(of: good).hexadecimal],
            ] {
                let refused = try await client.send(.get, "/openapi.json", headers: headers)
                #expect(refused.status == .unauthorized && refused.headers[.wwwAuthenticate] == "Bearer", "\(headers)")
                bodies.insert(refused.text)
            }
            #expect(bodies.count == 1)
        }
    }

    @Test("Only a tenant's key with the scope may name the user for whom it acts")
    func impersonation() async throws {
        let keys = [
            KeyFiles.entry("gw", ["scopes": ["sessions:*", "impersonate"]]), KeyFiles.entry("no", ["scopes": ["sessions:*"]]),
            KeyFiles.entry("al", ["subject": "alice"]),
        ]
        try await InProcess.router(try settings(keys)) { client in
            func response(_ key: String, _ subject: String...) async throws -> TestResponse {
                var headers: HTTPFields = [.internalAuth: KeyFiles.key(key)]
                for name in subject { headers.append(HTTPField(name: .agentSubject, value: name)) }
                return try await client.send(.get, "/agent/sessions/s", headers: headers)
            }
            for name in ["alice", "a b", "über@example.com", String(repeating: "x", count: 255)] {
                #expect(try await response("gw", name).status == .serviceUnavailable, "\(name)")
            }
            for names in [["*"], [""], [String(repeating: "x", count: 256)], ["a", "b"], ["a", "a"], ["\u{FFFD}"]] {
                var headers: HTTPFields = [.internalAuth: KeyFiles.key("gw")]
                for name in names { headers.append(HTTPField(name: .agentSubject, value: name)) }
                let refused = try await client.send(.get, "/agent/sessions/s", headers: headers)
                #expect(refused.status == .badRequest && refused.code == "invalid_request", "\(names): \(refused.text)")
                #expect(refused.text.contains("X-Agent-Subject"))
            }
            for key in ["no", "al"] {
                let refused = try await response(key, "bob")
                #expect(refused.status == .forbidden && refused.code == "forbidden", "\(key): \(refused.text)")
            }
            // Without a credential the header is not looked at.
            #expect(try await client.send(.get, "/agent/sessions/s", headers: [.agentSubject: "*"]).status == .unauthorized)
        }
    }

    @Test("A key that acts for a user has that user's sessions, and both accounts")
    func accountsOfImpersonation() throws {
        let acme = try #require(TenantID("acme"))
        let alice = try #require(Subject("alice"))
        var principal = Principal(
            tenant: acme, requester: .tenant, scopes: .all, accounts: [Account(key: "gw", tenant: acme)], credential: "gw")
        try principal.impersonate([:]) { _, _ in .none }
        #expect(principal.requester == .tenant && principal.accounts.count == 1)
        let limits = UsageLimits(streams: 3)
        try principal.impersonate([.agentSubject: "alice"]) { $0 == alice && $1 == acme ? limits : .none }
        #expect(principal.requester == .subject(alice) && principal.tenant == acme && principal.credential == "gw")
        #expect(principal.accounts == [Account(key: "gw", tenant: acme), Account(alice, tenant: acme, limits: limits)])
    }
}
