import AgentService
import LanguageModels
import NIOCore

extension Setting {
    static let llmAPIKey = SettingDefinition(
        "AGENT_RUNTIME__LLM_API_KEY", .headerValue, secret: true, "Sent to the model's server as `Authorization: Bearer`.")
    static let llmInternalAuth = SettingDefinition(
        "AGENT_RUNTIME__LLM_INTERNAL_AUTH", .internalAuth,
        absent: "`none` with `AGENT_RUNTIME__LLM_API_KEY` or `AGENT_RUNTIME__KEYS_FILE`, otherwise `internal`", secret: true,
        "What the model's server gets as `X-Internal-Auth`: the clients' key (`internal`; refused beside a keys file), nothing (`none`), or TEXT."
    )
    static let llmCAFile = SettingDefinition(
        "AGENT_RUNTIME__LLM_CA_FILE", .file, absent: "the system's",
        "PEM file with the certificates to trust for the model's `https://`.")
    static let llmCertificateFile = SettingDefinition(
        "AGENT_RUNTIME__LLM_CERT_FILE", .file,
        "PEM file with the client's certificate and its chain. Needs `AGENT_RUNTIME__LLM_KEY_FILE`.")
    static let llmKeyFile = SettingDefinition(
        "AGENT_RUNTIME__LLM_KEY_FILE", .file, "PEM file with the private key of `AGENT_RUNTIME__LLM_CERT_FILE`.")
    static let llmIdleTimeout = SettingDefinition(
        "AGENT_RUNTIME__LLM_IDLE_TIMEOUT_MS", .milliseconds(in: 10...86_400_000),
        default: .nanoseconds(LibraryDefaults.model.upstream.idleTimeout.nanoseconds), "Silence of the model before `llm_timeout`.")
    static let llmTimeout = SettingDefinition(
        "AGENT_RUNTIME__LLM_TIMEOUT_MS", .milliseconds(in: 10...86_400_000),
        default: .nanoseconds(LibraryDefaults.model.upstream.totalTimeout.nanoseconds),
        "How long a whole generation may take before `llm_timeout`.")

    /// How the model's server is reached.
    static let modelServer = Group(
        title: "The model's server",
        entries: [llmAPIKey, llmInternalAuth, llmCAFile, llmCertificateFile, llmKeyFile, llmIdleTimeout, llmTimeout])
}

/// What the model's server gets as `X-Internal-Auth`.
enum InternalAuth: Sendable, Equatable {
    /// The key that clients send to this server.
    case clientsKey
    case nothing
    case key(String)
}

extension SettingFormat<InternalAuth> {
    static var internalAuth: Self {
        let prefix = "key:"
        return Self(values: "`internal`, `none` or `key:TEXT`") { text throws(SettingProblem) in
            switch try SettingFormat<String>.headerValue.parse(text) {
            case "internal": return .clientsKey
            case "none": return .nothing
            case let value where value.hasPrefix(prefix) && value.count > prefix.count && !value.hasPrefix("\(prefix) "):
                return .key(String(value.dropFirst(prefix.count)))
            default:
                throw SettingProblem("must be internal, none or key:TEXT, with TEXT of printable ASCII characters")
            }
        }
    }
}
