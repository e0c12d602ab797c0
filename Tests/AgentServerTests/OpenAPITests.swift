import AgentService
import Foundation
import HTTPTypes
import TestSupport
import Testing

@testable import LanguageModels
@testable import agent_server

@Suite("openapi.json against routes, codes and settings")
struct OpenAPITests {
    let document: JSON

    init() throws {
        document = try JSON(String(decoding: PackageResources.openapi_json, as: UTF8.self))
    }

    @Test("Every route is described, and no other path")
    func everyRouteIsDescribedAndNothingElse() {
        var described: Set<String> = []
        for (path, item) in document["paths"].object {
            for method in item.object.keys where ["get", "post", "put", "delete", "patch"].contains(method) {
                described.insert("\(method.uppercased()) \(path)")
            }
        }
        #expect(described == Set(Endpoint.allCases.map { "\($0.method.rawValue) \($0.path)" }))
    }

    @Test("Every reference in the document resolves")
    func everyReferenceResolves() {
        var references: [String] = []
        func collect(_ value: JSON) {
            for (key, member) in value.object {
                if key == "$ref", let text = member.string { references.append(text) }
                collect(member)
            }
            for element in value.array { collect(element) }
        }
        collect(document)
        #expect(!references.isEmpty)
        for reference in references {
            var place = document
            for part in reference.dropFirst(2).split(separator: "/") { place = place[String(part)] }
            #expect(reference.hasPrefix("#/") && !place.isNull, "\(reference)")
        }
    }

    /// The contract lists these codes twice: for the `error` event and for the deprecated endpoint.
    @Test("Every model error code is in the contract")
    func everyCodeOfAModelsErrorIsInTheContract() {
        let contract = String(decoding: PackageResources.openapi_json, as: UTF8.self)
        for code in LLMError.Code.allCases {
            #expect(contract.ranges(of: "\"\(code.rawValue)\",").count >= 2, "\(code.rawValue)")
        }
    }

    @Test("Every setting has a test that names it")
    func everySettingHasATestThatNamesIt() throws {
        // The names are part of the contract, so this list is written by hand.
        let names: Set = [
            "HOST", "PORT", "AGENT_RUNTIME__REDIS_URL", "AGENT_RUNTIME__REDIS_CA_FILE", "AGENT_RUNTIME__REDIS_TIMEOUT_MS",
            "AGENT_RUNTIME__REDIS_MAX_IN_FLIGHT", "AGENT_RUNTIME__SENTINEL_USERNAME", "AGENT_RUNTIME__SENTINEL_PASSWORD",
            "AGENT_RUNTIME__ACK_REPLICAS", "AGENT_RUNTIME__ALLOW_EVICTION", "AGENT_RUNTIME__MAX_MESSAGES",
            "AGENT_RUNTIME__HISTORY_BYTES_IN_FLIGHT", "AGENT_RUNTIME__BODY_BYTES_IN_FLIGHT",
            "AGENT_RUNTIME__MAX_HISTORY_BYTES", "AGENT_RUNTIME__DATA_DIR", "AGENT_RUNTIME__LLM_PROXY_URL", "AGENT_RUNTIME__LLM_MODEL",
            "AGENT_RUNTIME__LLM_API_KEY", "AGENT_RUNTIME__LLM_STREAM", "AGENT_RUNTIME__LLM_IDLE_TIMEOUT_MS",
            "AGENT_RUNTIME__LLM_TIMEOUT_MS", "AGENT_RUNTIME__LLM_REASONING", "AGENT_RUNTIME__LLM_REASONING_REQUIRED",
            "AGENT_RUNTIME__LLM_REASONING_SHOW",
            "AGENT_RUNTIME__INTERNAL_API_KEY", "AGENT_RUNTIME__KEYS_FILE", "AGENT_RUNTIME__SYSTEM_PROMPT_FILE", "AGENT_RUNTIME__TOOLS_FILE",
            "AGENT_RUNTIME__REPLICA",
            "AGENT_RUNTIME__LEASE_MS", "AGENT_RUNTIME__FOLLOW_TICK_MS", "AGENT_RUNTIME__SESSION_TTL", "AGENT_RUNTIME__DRAIN_SECONDS",
            "AGENT_RUNTIME__WAIT_SECONDS",
            "AGENT_RUNTIME__KEEP_ALIVE_SECONDS",
            "AGENT_RUNTIME__BODY_LIMIT", "AGENT_RUNTIME__ANSWER_LIMIT", "AGENT_RUNTIME__CLIENT_BACKLOG", "AGENT_RUNTIME__MAX_STEPS",
            "AGENT_RUNTIME__IDLE_TIMEOUT_SECONDS", "AGENT_RUNTIME__LOG_LEVEL", "AGENT_RUNTIME__LOG_FORMAT", "AGENT_RUNTIME__VERSION",
            "AGENT_RUNTIME__REDIS_CERT_FILE", "AGENT_RUNTIME__REDIS_KEY_FILE", "AGENT_RUNTIME__LLM_INTERNAL_AUTH",
            "AGENT_RUNTIME__LLM_CA_FILE", "AGENT_RUNTIME__LLM_CERT_FILE", "AGENT_RUNTIME__LLM_KEY_FILE",
            "AGENT_RUNTIME__LLM_PARAMETERS", "AGENT_RUNTIME__LLM_STREAM_OPTIONS", "AGENT_RUNTIME__LLM_SYSTEM_ROLE",
            "AGENT_RUNTIME__LLM_TOOL_NAMES", "AGENT_RUNTIME__LLM_STRICT_TURNS",
            "AGENT_RUNTIME__ALLOWED_HOSTS", "AGENT_RUNTIME__DRAIN_NOTICE_SECONDS", "AGENT_RUNTIME__LOG_QUEUE",
            "AGENT_RUNTIME__STRICT_SETTINGS", "AGENT_RUNTIME__REDIS_PREFIX", "AGENT_RUNTIME__SESSION_MAX_AGE",
            "AGENT_RUNTIME__JWT_ISSUER", "AGENT_RUNTIME__JWT_AUDIENCE", "AGENT_RUNTIME__JWT_JWKS_URL", "AGENT_RUNTIME__JWT_JWKS_FILE",
            "AGENT_RUNTIME__JWT_TENANT_CLAIM", "AGENT_RUNTIME__JWT_SUBJECT_CLAIM", "AGENT_RUNTIME__JWT_SCOPE_CLAIM",
            "AGENT_RUNTIME__JWT_LEEWAY_SECONDS",
            "AGENT_RUNTIME__LIMIT_STREAMS", "AGENT_RUNTIME__LIMIT_REQUESTS_PER_MINUTE", "AGENT_RUNTIME__LIMIT_TOKENS_PER_MINUTE",
            "AGENT_RUNTIME__LIMIT_TOKENS_PER_DAY", "AGENT_RUNTIME__TOKEN_RESERVE",
            "AGENT_RUNTIME__CORS_ORIGINS", "AGENT_RUNTIME__AUDIT", "AGENT_RUNTIME__TICKET_KEYS",
        ]
        #expect(Set(Setting.all.map(\.name)) == names)
    }
}
