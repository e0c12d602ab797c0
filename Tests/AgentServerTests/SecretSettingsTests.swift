import AgentService
import Foundation
import LanguageModels
import RedisClient
import SessionStore
import TestSupport
import Testing

@testable import agent_server

/// Secrets come from settings or files. The server uses each secret in one place only, and warns of
/// risky settings.
@Suite("Secret settings", .tags(.processes), .serialized)
struct SecretSettingsTests {
    private func settings(_ environment: [String: String], flags: [(any SettingEntry, String)] = []) throws -> Settings {
        try Settings(SettingsReader(environment: environment, flags: flags))
    }

    private func file(_ content: String) throws -> String {
        let file = try temporaryDirectory().appending(path: "secret")
        try content.write(to: file, atomically: true, encoding: .utf8)
        return file.path
    }

    @Test("Each secret may come from a file")
    func eachSecretMayStandInAFile() throws {
        let settings = try settings([
            "AGENT_RUNTIME__REDIS_URL_FILE": try file("redis-sentinel://u:p@h1/m\n"),
            "AGENT_RUNTIME__SENTINEL_PASSWORD_FILE": try file("sentinels\r\n"),
            "AGENT_RUNTIME__LLM_PROXY_URL": "http://localhost:1",
            "AGENT_RUNTIME__LLM_API_KEY_FILE": try file("model"),
            "AGENT_RUNTIME__LLM_INTERNAL_AUTH_FILE": try file("key:other\n"),
            "AGENT_RUNTIME__INTERNAL_API_KEY_FILE": try file("clients\n"),
            "AGENT_RUNTIME__TICKET_KEYS_FILE": try file(String(repeating: "t", count: 32) + "\n"),
        ])
        guard case .sentinel(let group) = try #require(settings.redis).topology else { throw NeverHappened(description: "sentinels") }
        #expect(settings.redis?.password == "p" && group.password == "sentinels")
        #expect(
            settings.llm?.upstream.apiKey == "model" && settings.llm?.upstream.internalKey == "other"
                && settings.internalAPIKey == "clients")
        #expect(settings.ticketKeys == [String(repeating: "t", count: 32)])
        let names = Setting.all.filter(\.isSecret).compactMap(\.fileVariable)
        #expect(names.count == 6 && names.allSatisfy { SettingsText.help.contains($0) })
    }

    @Test("An unusable secret file is named, and its content is not shown")
    func aFileThatCannotBeUsedIsNamedAndItsContentIsNot() throws {
        func expectRefusal(_ environment: [String: String], flags: [(any SettingEntry, String)] = [], _ parts: String...) {
            #expect {
                _ = try settings(environment, flags: flags)
            } throws: { error in
                !"\(error)".contains("s3cret") && parts.allSatisfy { "\(error)".contains($0) }
            }
        }
        let name = "AGENT_RUNTIME__LLM_API_KEY"
        expectRefusal(["\(name)_FILE": "/nowhere/at/all"], "\(name)_FILE", "/nowhere/at/all")
        expectRefusal(["\(name)_FILE": "/"], "\(name)_FILE")
        expectRefusal(["\(name)_FILE": try file("s3cret"), name: "s3cret"], name, "\(name)_FILE")
        expectRefusal(["\(name)_FILE": try file("\n")], "\(name)_FILE", "empty")
        // Editors add one line break. A second line break is a part of the key.
        expectRefusal(["\(name)_FILE": try file("s3cret\n\n"), "AGENT_RUNTIME__LLM_PROXY_URL": "http://x"], name)
        expectRefusal(
            ["AGENT_RUNTIME__REDIS_URL_FILE": try file("redis://s3cret@h")], flags: [(Setting.redisURL, "redis://h")],
            "AGENT_RUNTIME__REDIS_URL_FILE")
        // An empty variable counts as absent.
        #expect(try settings(["\(name)_FILE": "", "AGENT_RUNTIME__LLM_PROXY_URL": "http://x", name: "k"]).llm?.upstream.apiKey == "k")
    }

    @Test(
        "The model's server gets the LLM key, or the internal key in its place",
        arguments: [
            ([:], nil), (["INTERNAL_API_KEY": "i"], "i"), (["INTERNAL_API_KEY": "i", "LLM_API_KEY": "m"], nil),
            (["INTERNAL_API_KEY": "i", "LLM_API_KEY": "m", "LLM_INTERNAL_AUTH": "internal"], "i"),
            (["INTERNAL_API_KEY": "i", "LLM_INTERNAL_AUTH": "none"], nil), (["LLM_INTERNAL_AUTH": "internal"], nil),
            (["INTERNAL_API_KEY": "i", "LLM_INTERNAL_AUTH": "key:a b:c"], "a b:c"), (["LLM_INTERNAL_AUTH": "key:z"], "z"),
        ] as [([String: String], String?)]
    )
    func whatTheModelsServerGets(_ environment: [String: String], key: String?) throws {
        var environment = Dictionary(uniqueKeysWithValues: environment.map { ("AGENT_RUNTIME__\($0)", $1) })
        environment["AGENT_RUNTIME__LLM_PROXY_URL"] = "http://localhost:1"
        #expect(try settings(environment).llm?.upstream.internalKey == key)
    }

    @Test("The clients' key is not sent to a model server that has its own key")
    func theKeyOfTheClientsIsNotSentToAModelWithAKeyOfItsOwn() async throws {
        let redis = try await RedisServer.shared()
        let upstream = try await Upstream.start()
        for (auth, seen) in [(nil, nil), ("internal", "clients-key"), ("key:other", "other")] as [(String?, String?)] {
            var environment = ["AGENT_RUNTIME__INTERNAL_API_KEY": "clients-key", "AGENT_RUNTIME__LLM_API_KEY": "model-key"]
            environment["AGENT_RUNTIME__LLM_INTERNAL_AUTH"] = auth
            let replica = try await Replica.start(redis: redis.url, upstream: upstream.url, environment: environment)
            let answer = try await replica.client.say(
                "x", in: SessionID.unique().text, headers: ["X-Internal-Auth": "clients-key"])
            #expect(answer.done["status"] == "completed")
            #expect(upstream.requests.last?.headers["x-internal-auth"] == seen)
            #expect(upstream.requests.last?.headers["authorization"] == "Bearer model-key")
            #expect(!replica.process.log.contains("clients-key") && !replica.process.log.contains("model-key"))
            try await replica.stop()
        }
    }

    /// The settings under test, and a word of the expected warning; nil for settings without a
    /// risk.
    @Test(
        "Risky settings cause warnings",
        arguments: [
            ([:], []),
            (["INTERNAL_API_KEY": "short"], []),
            (["HOST": "0.0.0.0", "INTERNAL_API_KEY": "fifteen-letters"], ["INTERNAL_API_KEY"]),
            (["HOST": "0.0.0.0", "INTERNAL_API_KEY": "sixteen--letters"], []),
            (["INTERNAL_API_KEY": "i", "LLM_PROXY_URL": "https://llm.example.com/v1"], ["LLM_INTERNAL_AUTH"]),
            (["INTERNAL_API_KEY": "i", "LLM_PROXY_URL": "https://u@8.8.8.8:1"], ["LLM_INTERNAL_AUTH"]),
            (["INTERNAL_API_KEY": "i", "LLM_PROXY_URL": "https://x", "LLM_API_KEY": "m", "LLM_INTERNAL_AUTH": "internal"], []),
            (["INTERNAL_API_KEY": "i", "LLM_PROXY_URL": "https://llm.example.com", "LLM_API_KEY": "m"], []),
            (["INTERNAL_API_KEY": "i", "LLM_PROXY_URL": "https://llm.example.com", "LLM_INTERNAL_AUTH": "none"], []),
            (["INTERNAL_API_KEY": "i", "LLM_PROXY_URL": "https://10.evil.com"], ["LLM_INTERNAL_AUTH"]),
            (["INTERNAL_API_KEY": "i", "LLM_PROXY_URL": "https://172.32.0.1"], ["LLM_INTERNAL_AUTH"]),
            (["INTERNAL_API_KEY": "i", "LLM_PROXY_URL": "https://172.31.0.1"], []),
            (["INTERNAL_API_KEY": "i", "LLM_PROXY_URL": "https://[fd00::1]:8"], []),
            (["INTERNAL_API_KEY": "i", "LLM_PROXY_URL": "https://llm.ns.svc/v1"], []),
            (["LLM_PROXY_URL": "http://127.0.0.1:1"], []),
            (["LLM_PROXY_URL": "http://llm.example.com"], ["clear text"]),
            (["REDIS_URL": "redis://:pw@127.0.0.1"], []), (["REDIS_URL": "rediss://:pw@redis.example.com"], []),
            (["REDIS_URL": "redis://redis.example.com"], []), (["REDIS_URL": "unix:///tmp/x.sock"], []),
            (["REDIS_URL": "redis://:pw@redis.example.com"], ["clear text"]),
            (["REDIS_URL": "redis-cluster://:pw@127.0.0.1,redis.example.com"], ["clear text"]),
            (["REDIS_URL": "redis-sentinel://:pw@redis.example.com/m"], ["clear text"]),
        ] as [([String: String], [String])]
    )
    func risksAreWarnedOf(_ environment: [String: String], words: [String]) throws {
        let environment = Dictionary(
            uniqueKeysWithValues: environment.map { ($0 == "HOST" ? $0 : "AGENT_RUNTIME__\($0)", $1) })
        let warnings = try settings(environment).warnings
        #expect(warnings.count == words.count, "\(warnings)")
        for (warning, word) in zip(warnings, words) { #expect(warning.contains(word) && !warning.contains("pw"), "\(warning)") }
    }

    @Test(
        "The log names the model and its host, and no secret",
        arguments: [
            (nil, "the scripted model"), ("http://127.0.0.1:8080", "m at 127.0.0.1:8080"),
            ("https://u:s3cret@llm.example.com:8443/v1?key=s3cret", "m at llm.example.com:8443"),
            ("https://llm.example.com?key=s3@cret", "m at llm.example.com"),
        ] as [(String?, String)])
    func modelDescription(_ url: String?, words: String) throws {
        var environment = ["AGENT_RUNTIME__LLM_MODEL": "m"]
        environment["AGENT_RUNTIME__LLM_PROXY_URL"] = url
        #expect(try settings(environment).modelDescription == words)
    }

    @Test("A settings warning appears in the log")
    func aWarningStandsInTheLog() async throws {
        let redis = try await RedisServer.shared()
        let replica = try await Replica.start(
            redis: redis.url, upstream: "http://llm.example.com", environment: ["AGENT_RUNTIME__INTERNAL_API_KEY": "clients-key"])
        let log = replica.process.log
        #expect(log.contains("warning") && log.contains("AGENT_RUNTIME__LLM_INTERNAL_AUTH=none") && log.contains("clear text"))
        #expect(!log.contains("clients-key"))
        try await replica.stop()
    }
}
