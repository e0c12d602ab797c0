import AgentService
import Foundation
import Logging
import NIOCore
import RedisClient
import SessionStore
import TestSupport
import Testing

@testable import LanguageModels
@testable import agent_server

/// The server reads settings from variables and flags, and checks them at the start.
@Suite("Settings", .tags(.processes), .serialized)
struct SettingsTests {
    private func settings(_ environment: [String: String], flags: [(any SettingEntry, String)] = []) throws -> Settings {
        try Settings(SettingsReader(environment: environment, flags: flags))
    }

    @Test("Settings have their defaults")
    func theDefaults() throws {
        let settings = try settings([:])
        #expect(settings.host == "127.0.0.1" && settings.port == 8001)
        #expect(settings.redis == nil && settings.llm == nil && settings.model == "scripted")
        #expect(settings.lease == .milliseconds(3000) && settings.drain == .seconds(30) && settings.sessionTTL == nil)
        #expect(settings.bodyLimit == 4 << 20 && settings.version == buildVersion)
        #expect(settings.drainNotice == .seconds(2) && settings.logQueue == 8192 && settings.allowedHosts.isEmpty)
    }

    @Test("Every setting reaches its field")
    func everyValueArrives() throws {
        let prompt = try temporaryDirectory().appending(path: "prompt.txt")
        try "Be brief.\n".write(to: prompt, atomically: true, encoding: .utf8)
        let tools = try temporaryDirectory().appending(path: "tools.json")
        try #"[{"type":"function","function":{"name":"grep"}}]"#.write(to: tools, atomically: true, encoding: .utf8)
        let settings = try settings([
            "HOST": "::1", "PORT": "9000", "AGENT_RUNTIME__REDIS_URL": "redis://u:p%40@example.com:6380/3",
            "AGENT_RUNTIME__REDIS_TIMEOUT_MS": "700",
            "AGENT_RUNTIME__LLM_PROXY_URL": "https://llm.example.com/v1", "AGENT_RUNTIME__LLM_MODEL": "m",
            "AGENT_RUNTIME__LLM_API_KEY": "k",
            "AGENT_RUNTIME__LLM_STREAM": "false", "AGENT_RUNTIME__LLM_IDLE_TIMEOUT_MS": "1000", "AGENT_RUNTIME__INTERNAL_API_KEY": "i",
            "AGENT_RUNTIME__SYSTEM_PROMPT_FILE": prompt.path, "AGENT_RUNTIME__TOOLS_FILE": tools.path, "AGENT_RUNTIME__LEASE_MS": "1500",
            "AGENT_RUNTIME__SESSION_TTL": "60", "AGENT_RUNTIME__DRAIN_SECONDS": "5", "AGENT_RUNTIME__LOG_FORMAT": "json",
            "AGENT_RUNTIME__LOG_LEVEL": "debug", "AGENT_RUNTIME__REPLICA": "r-1", "AGENT_RUNTIME__VERSION": "9",
            "AGENT_RUNTIME__DRAIN_NOTICE_SECONDS": "4", "AGENT_RUNTIME__LOG_QUEUE": "99",
            "AGENT_RUNTIME__ALLOWED_HOSTS": "a.example, B.example:80", "AGENT_RUNTIME__LLM_REASONING": "loop",
            "AGENT_RUNTIME__LLM_REASONING_REQUIRED": "true", "AGENT_RUNTIME__LLM_REASONING_SHOW": "true",
        ])
        #expect(
            settings.llm?.format.form.reasoning == ReasoningReplay(scope: .loop, isRequired: true)
                && settings.llm?.format.showsReasoning == true)
        #expect(settings.drainNotice == .seconds(4) && settings.logQueue == 99)
        #expect(settings.allowedHosts == Set(["a.example", "b.example"].compactMap { HostName($0) }))
        #expect(settings.host == "::1" && settings.port == 9000)
        #expect(settings.redis?.password == "p@" && settings.redis?.database == 3 && settings.redis?.commandTimeout == .milliseconds(700))
        #expect(settings.llm?.format.stream == false && settings.llm?.upstream.apiKey == "k" && settings.llm?.upstream.internalKey == nil)
        #expect(settings.systemPrompt == "Be brief.")
        #expect(settings.tools.json.map { String(buffer: $0) }?.contains("grep") == true)
        #expect(settings.lease == .milliseconds(1500) && settings.sessionTTL == .seconds(60) && settings.drain == .seconds(5))
        #expect(settings.logStyle == .json && settings.logLevel == .debug && settings.replica == "r-1" && settings.version == "9")
    }

    @Test("The settings of model requests reach the request form")
    func howRequestsToTheModelAreWritten() throws {
        let url = ["AGENT_RUNTIME__LLM_PROXY_URL": "http://h"]
        #expect(try settings(url).llm?.format.form == RequestForm())
        let form = try #require(
            try settings(
                url.merging([
                    "AGENT_RUNTIME__LLM_PARAMETERS": #"{"reasoning_effort":"low"}"#, "AGENT_RUNTIME__LLM_STREAM_OPTIONS": "false",
                    "AGENT_RUNTIME__LLM_SYSTEM_ROLE": "developer", "AGENT_RUNTIME__LLM_TOOL_NAMES": "true",
                    "AGENT_RUNTIME__LLM_STRICT_TURNS": "true",
                ]) { $1 }
            ).llm?.format.form)
        #expect(form.parameters == (try RequestParameters(parsing: #"{"reasoning_effort":"low"}"#)))
        #expect(form.streamOptions == .no && form.systemRole == .developer && form.toolNames && form.strictTurns == .yes)
    }

    /// With such a lease, one lost connection may cost the lease.
    @Test(
        "A lease shorter than one and a half Redis timeouts causes a warning",
        arguments: [
            ("3000", "2000", false), ("1000", "2000", true), ("3000", "2001", true), ("1000", "666", false), ("9000", "6000", false),
        ]
    )
    func aLeaseThatDoesNotFitTheTimeoutIsWarnedOf(lease: String, timeout: String, warns: Bool) throws {
        let warnings = try settings(["AGENT_RUNTIME__LEASE_MS": lease, "AGENT_RUNTIME__REDIS_TIMEOUT_MS": timeout]).warnings
        #expect(warnings.contains { $0.contains("AGENT_RUNTIME__LEASE_MS") && $0.contains("AGENT_RUNTIME__REDIS_TIMEOUT_MS") } == warns)
    }

    @Test("Sentinels have credentials of their own")
    func theSentinelsHaveCredentialsOfTheirOwn() throws {
        let url = "redis-sentinel://u:p@h1,h2:7/m?sentinel_username=a&sentinel_password=b"
        func group(_ environment: [String: String]) throws -> SentinelGroup {
            let settings = try settings(environment.merging(["AGENT_RUNTIME__REDIS_URL": url]) { $1 })
            guard case .sentinel(let group) = try #require(settings.redis).topology else { throw NeverHappened(description: "sentinels") }
            return group
        }
        #expect(try group([:]).username == "a" && group([:]).password == "b")
        let own = try group(["AGENT_RUNTIME__SENTINEL_USERNAME": "c", "AGENT_RUNTIME__SENTINEL_PASSWORD": "d"])
        #expect(own.username == "c" && own.password == "d")
        #expect {
            try settings(["AGENT_RUNTIME__REDIS_URL": "redis-sentinel://h/m", "AGENT_RUNTIME__SENTINEL_USERNAME": "c"])
        } throws: { "\($0)".hasPrefix("AGENT_RUNTIME__SENTINEL_USERNAME") }
    }

    @Test("The settings of durability and bounds are read")
    func durabilityAndBounds() throws {
        let defaults = try settings([:])
        #expect(defaults.ackReplicas == 0 && !defaults.allowsEviction)
        #expect(defaults.keyspace.prefix == "agent" && defaults.sessionMaximumAge == nil)
        #expect(defaults.maximumMessages == 100_000 && defaults.maximumHistoryBytes == 32 << 20)
        #expect(defaults.historyBytesInFlight == 128 << 20 && defaults.bodyBytesInFlight == 64 << 20)
        let settings = try settings([
            "AGENT_RUNTIME__ACK_REPLICAS": "2", "AGENT_RUNTIME__ALLOW_EVICTION": "true", "AGENT_RUNTIME__MAX_MESSAGES": "9",
            "AGENT_RUNTIME__MAX_HISTORY_BYTES": "5000", "AGENT_RUNTIME__HISTORY_BYTES_IN_FLIGHT": "1048576",
            "AGENT_RUNTIME__BODY_BYTES_IN_FLIGHT": "2097152", "AGENT_RUNTIME__REDIS_PREFIX": "two_2-A",
            "AGENT_RUNTIME__SESSION_MAX_AGE": "600",
        ])
        #expect(settings.keyspace.prefix == "two_2-A" && settings.sessionMaximumAge == .seconds(600))
        #expect(settings.historyBytesInFlight == 1 << 20 && settings.bodyBytesInFlight == 2 << 20)
        #expect(settings.ackReplicas == 2 && settings.allowsEviction && settings.maximumMessages == 9)
        #expect(settings.maximumHistoryBytes == 5000)
    }

    @Test("A command-line flag overrides its variable")
    func aFlagGoesBeforeItsVariable() throws {
        #expect(try settings(["PORT": "1"], flags: [(Setting.port, "2")]).port == 2)
        #expect(try settings(["PORT": "1"], flags: [(Setting.port, "")]).port == 1)
        #expect(try settings(["PORT": ""]).port == 8001)
    }

    @Test(
        "An error names the setting that cannot be used",
        arguments: [
            ("PORT", "eighty"), ("PORT", "65536"), ("AGENT_RUNTIME__REDIS_URL", "http://x"), ("AGENT_RUNTIME__REDIS_URL", "redis://h:0"),
            ("AGENT_RUNTIME__LLM_PROXY_URL", "llm.example.com"), ("AGENT_RUNTIME__LLM_STREAM", "maybe"),
            ("AGENT_RUNTIME__LLM_REASONING", "some"), ("AGENT_RUNTIME__LLM_REASONING_REQUIRED", "perhaps"),
            ("AGENT_RUNTIME__LEASE_MS", "1"),
            ("AGENT_RUNTIME__SESSION_TTL", "-1"), ("AGENT_RUNTIME__DRAIN_SECONDS", "x"), ("AGENT_RUNTIME__LOG_LEVEL", "loud"),
            ("AGENT_RUNTIME__LOG_FORMAT", "xml"), ("AGENT_RUNTIME__SYSTEM_PROMPT_FILE", "/nowhere/at/all"),
            ("AGENT_RUNTIME__TOOLS_FILE", "/nowhere/at/all"),
            ("AGENT_RUNTIME__REDIS_URL", "redis-sentinel://h"), ("AGENT_RUNTIME__REDIS_URL", "redis-cluster://h/1"),
            ("AGENT_RUNTIME__ACK_REPLICAS", "17"), ("AGENT_RUNTIME__ALLOW_EVICTION", "perhaps"), ("AGENT_RUNTIME__MAX_MESSAGES", "1"),
            ("AGENT_RUNTIME__HISTORY_BYTES_IN_FLIGHT", "1000"), ("AGENT_RUNTIME__BODY_BYTES_IN_FLIGHT", "many"),
            ("AGENT_RUNTIME__MAX_HISTORY_BYTES", "1"), ("AGENT_RUNTIME__BODY_LIMIT", "12"), ("AGENT_RUNTIME__MAX_STEPS", "0"),
            ("AGENT_RUNTIME__SESSION_TTL", "5"), ("AGENT_RUNTIME__INTERNAL_API_KEY", "k "),
            ("AGENT_RUNTIME__INTERNAL_API_KEY", "schlüssel"),
            ("AGENT_RUNTIME__LLM_INTERNAL_AUTH", "key:"), ("AGENT_RUNTIME__LLM_INTERNAL_AUTH", "sesame"),
            ("AGENT_RUNTIME__REDIS_PREFIX", "a:b"), ("AGENT_RUNTIME__REDIS_PREFIX", "a{b"), ("AGENT_RUNTIME__SESSION_MAX_AGE", "59"),
            ("AGENT_RUNTIME__ALLOWED_HOSTS", "a b"), ("AGENT_RUNTIME__ALLOWED_HOSTS", "http://a"),
            ("AGENT_RUNTIME__DRAIN_NOTICE_SECONDS", "601"), ("AGENT_RUNTIME__LOG_QUEUE", "1"),
            ("AGENT_RUNTIME__LLM_PARAMETERS", "[]"), ("AGENT_RUNTIME__LLM_PARAMETERS", #"{"model":"m"}"#),
            ("AGENT_RUNTIME__LLM_STREAM_OPTIONS", "maybe"), ("AGENT_RUNTIME__LLM_SYSTEM_ROLE", "user"),
            ("AGENT_RUNTIME__LLM_TOOL_NAMES", "some"), ("AGENT_RUNTIME__LLM_STRICT_TURNS", "2"),
            ("AGENT_RUNTIME__LLM_MODEL", "m\n"), ("AGENT_RUNTIME__LLM_MODEL", "a\u{7f}b"), ("AGENT_RUNTIME__LLM_MODEL", "\tm"),
        ]
    )
    func whatCannotBeUsedIsNamed(_ name: String, value: String) {
        #expect { try settings([name: value]) } throws: { "\($0)".hasPrefix(name) }
    }

    @Test("Errors never show secrets")
    func secretsAreNotInErrors() {
        #expect { try settings(["AGENT_RUNTIME__REDIS_URL": "redis://user:s3cret@host:99999"]) } throws: { !"\($0)".contains("s3cret") }
    }

    @Test("Without a key the server binds loopback only")
    func withoutAKeyOnlyLoopbackIsBound() throws {
        for host in ["0.0.0.0", "10.0.0.1", "example.com", "::"] {
            #expect { try settings(["HOST": host]) } throws: { "\($0)".contains("INTERNAL_API_KEY") }
            #expect(try settings(["HOST": host, "AGENT_RUNTIME__INTERNAL_API_KEY": "k"]).host == host)
        }
    }

    /// An operations team may search logs for this line.
    @Test(
        "An unusable setting stops the start with one line and exit code 64",
        arguments: [
            (["PORT": "eighty"], "PORT"), (["AGENT_RUNTIME__LLM_PARAMETERS": #"{"stream_options":{}}"#], "member stream_options"),
            (["AGENT_RUNTIME__LLM_PROXY_URL": "http://"], "AGENT_RUNTIME__LLM_PROXY_URL"),
            (["AGENT_RUNTIME__LLM_PROXY_URL": "http://x", "AGENT_RUNTIME__LLM_API_KEY": "s\u{e9}cret"], "AGENT_RUNTIME__LLM_API_KEY"),
            (
                ["AGENT_RUNTIME__REDIS_URL": "rediss://127.0.0.1:1", "AGENT_RUNTIME__REDIS_CA_FILE": "/nowhere"],
                "AGENT_RUNTIME__REDIS_CA_FILE"
            ),
        ]
    )
    func anUnusableSettingStopsTheStart(_ environment: [String: String], name: String) async throws {
        let process = try Replica.launch(redis: environment["AGENT_RUNTIME__REDIS_URL"], environment: environment)
        #expect(try await process.ended() == 64)
        let lines = process.log.split(separator: "\n")
        #expect(lines.count == 1 && lines.first?.contains(name) == true, "\(process.log)")
        #expect(!process.log.contains("cret"))
    }

    @Test("--help lists every setting")
    func helpListsEverySetting() async throws {
        let process = try Replica.launch(redis: nil, arguments: ["--help"])
        #expect(try await process.ended() == 0)
        let log = process.log
        for setting in Setting.all { #expect(log.contains(setting.name)) }
        for word in ["read_file PATH", "echo TEXT", "slow N"] { #expect(log.contains(word), "\(word)") }
    }

    @Test("With strict settings, unknown variables stop the start")
    func strictSettings() async throws {
        let process = try Replica.launch(
            redis: nil,
            environment: [
                "AGENT_RUNTIME__STRICT_SETTINGS": "true", "AGENT_RUNTIME__LAESE_MS": "1",
                "AGENT_RUNTIME__NO_SUCH_THING_AT_ALL": "s3cret",
            ])
        #expect(try await process.ended() == 64)
        let lines = process.log.split(separator: "\n")
        #expect(lines.count == 1, "\(process.log)")
        let line = lines.first ?? ""
        #expect(line.contains("AGENT_RUNTIME__LAESE_MS is not a setting; the nearest one is AGENT_RUNTIME__LEASE_MS"))
        #expect(line.contains("AGENT_RUNTIME__NO_SUCH_THING_AT_ALL is not a setting") && !line.contains("s3cret"))
    }
}
