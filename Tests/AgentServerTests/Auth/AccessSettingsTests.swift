import Foundation
import HTTPTypes
import HummingbirdTesting
import LanguageModels
import TestSupport
import Testing

@testable import agent_server

@Suite("Settings of keys and tokens")
struct AccessSettingsTests {
    private func settings(_ environment: [String: String]) throws -> Settings {
        let environment = Dictionary(uniqueKeysWithValues: environment.map { ($0 == "HOST" ? $0 : "AGENT_RUNTIME__\($0)", $1) })
        return try Settings(SettingsReader(environment: environment))
    }

    private let issuer = ["JWT_ISSUER": "i", "JWT_AUDIENCE": "a"]

    @Test("Every setting of tokens reaches its field")
    func tokens() throws {
        let url = issuer.merging(["JWT_JWKS_URL": "https://i.example/keys"]) { $1 }
        let defaults = try #require(try settings(url).tokens)
        #expect(defaults.keys == .url("https://i.example/keys") && defaults.rules.issuer == "i" && defaults.rules.audience == "a")
        #expect(defaults.rules.tenantClaim == nil && defaults.rules.subjectClaim == "sub" && defaults.rules.scopeClaim == "scope")
        #expect(defaults.rules.leeway == .seconds(30))
        let file = try KeyFiles.write("{}").path
        let all = try #require(
            try settings(
                issuer.merging([
                    "JWT_JWKS_FILE": file, "JWT_TENANT_CLAIM": "t", "JWT_SUBJECT_CLAIM": "u", "JWT_SCOPE_CLAIM": "s",
                    "JWT_LEEWAY_SECONDS": "60",
                ]) { $1 }
            ).tokens)
        #expect(all.keys == .file(file) && all.rules.tenantClaim == "t" && all.rules.subjectClaim == "u" && all.rules.scopeClaim == "s")
        #expect(all.rules.leeway == .seconds(60))
        #expect(try settings([:]).tokens == nil)
    }

    @Test("A stream goes on for half a minute after its credential, or as long as the leeway")
    func grace() throws {
        #expect(try settings([:]).credentialGrace == .seconds(30))
        for (leeway, grace) in [("0", 30), ("300", 300)] {
            let more = ["JWT_JWKS_URL": "https://i.example", "JWT_LEEWAY_SECONDS": leeway]
            #expect(try settings(issuer.merging(more) { $1 }).credentialGrace == .seconds(grace))
        }
    }

    @Test(
        "An error names the setting that is missing or cannot be used",
        arguments: [
            (["JWT_ISSUER": "i"], "JWT_AUDIENCE"), (["JWT_ISSUER": "i", "JWT_AUDIENCE": "a"], "JWT_JWKS_URL"),
            (["JWT_AUDIENCE": "a"], "JWT_AUDIENCE"), (["JWT_JWKS_URL": "https://i"], "JWT_JWKS_URL"),
            (["JWT_TENANT_CLAIM": "t"], "JWT_TENANT_CLAIM"),
            (["JWT_ISSUER": "i", "JWT_AUDIENCE": "a", "JWT_JWKS_URL": "https://i", "JWT_JWKS_FILE": "/etc/passwd"], "JWT_JWKS_FILE"),
            (["JWT_JWKS_FILE": "/nowhere/at/all"], "JWT_JWKS_FILE"), (["JWT_LEEWAY_SECONDS": "301"], "JWT_LEEWAY_SECONDS"),
            (["KEYS_FILE": "/nowhere/at/all"], "KEYS_FILE"), (["HOST": "0.0.0.0"], "INTERNAL_API_KEY"),
        ] as [([String: String], String)])
    func errors(_ environment: [String: String], name: String) {
        var environment = environment
        if name == "JWT_LEEWAY_SECONDS" {
            environment.merge(["JWT_ISSUER": "i", "JWT_AUDIENCE": "a", "JWT_JWKS_URL": "https://i"]) { $1 }
        }
        let error = #expect(throws: SettingsError.self) { try settings(environment) }
        #expect(error?.description.contains("AGENT_RUNTIME__\(name)") == true, "\(error?.description ?? "")")
    }

    @Test(
        "The issuer's keys come over TLS, or from this machine",
        arguments: [
            ("https://i.example/keys?v=1", true), ("http://localhost:1/keys", true), ("http://127.0.0.1", true), ("http://[::1]:9/", true),
            ("http://i.example/keys", false), ("http://localhost.evil.com", false), ("ftp://localhost", false), ("i.example", false),
            ("https://u:p@i.example", false), ("http://localhost@evil.com", false), ("https://i.example/#x", false), ("https://", false),
        ])
    func addresses(_ url: String, isTaken: Bool) throws {
        let environment = issuer.merging(["JWT_JWKS_URL": url]) { $1 }
        if isTaken {
            #expect(try settings(environment).tokens?.keys == .url(url))
        } else {
            #expect(throws: SettingsError.self) { try settings(environment) }
        }
    }

    @Test("A server with any credential may listen everywhere, and wants one")
    func anyCredential() async throws {
        let keys = ["KEYS_FILE": try KeyFiles.write(KeyFiles.text([])).path]
        for environment in [keys, issuer.merging(["JWT_JWKS_URL": "http://127.0.0.1:1"]) { $1 }] {
            #expect(try settings(environment.merging(["HOST": "0.0.0.0"]) { $1 }).hasCredentials)
            let names = Dictionary(uniqueKeysWithValues: environment.map { ("AGENT_RUNTIME__\($0)", $1) })
            try await InProcess.router(names) { client async throws in
                #expect(try await client.send(.get, "/openapi.json").status == .unauthorized)
                #expect(try await client.send(.get, "/health/live").status == .ok)
            }
        }
    }

    @Test("Beside a keys file, the model's server does not get the clients' key")
    func theModelsServer() throws {
        let keys = [
            "KEYS_FILE": try KeyFiles.write(KeyFiles.text([])).path, "INTERNAL_API_KEY": "sixteen-letters!",
            "LLM_PROXY_URL": "http://localhost:1",
        ]
        #expect(try settings(keys).llm?.upstream.internalKey == nil)
        #expect(try settings(keys.merging(["LLM_INTERNAL_AUTH": "key:x"]) { $1 }).llm?.upstream.internalKey == "x")
        #expect(throws: SettingsError.self) { try settings(keys.merging(["LLM_INTERNAL_AUTH": "internal"]) { $1 }) }
        #expect(throws: SettingsError.self) { try settings(keys.merging(["INTERNAL_API_KEY": "fifteen-letters"]) { $1 }) }
    }
}
