import AgentService
import NIOCore
import SessionStore
import TransportSecurity

extension Settings {
    static func llm(_ reader: SettingsReader, internalKey: String?) throws(SettingsError) -> OpenAIProvider.Configuration? {
        let idle = try reader.integer(.llmIdleTimeout, default: 60_000, in: 10...86_400_000)
        let total = try reader.integer(.llmTimeout, default: 600_000, in: 10...86_400_000)
        let streams = try reader.boolean(.llmStream, default: true)
        let form = try requestForm(reader)
        let apiKey = try key(reader, .llmAPIKey)
        let internalAuth = try internalAuth(reader, hasAPIKey: apiKey != nil, internalKey: internalKey)
        let showsReasoning = try reader.boolean(.llmReasoningShow, default: false)
        guard let url = reader.string(.llmURL) else { return nil }
        guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
            throw SettingsError(.llmURL, "must begin with http:// or https://")
        }
        var configuration = OpenAIProvider.Configuration(baseURL: url)
        configuration.apiKey = apiKey
        configuration.internalKey = internalAuth
        configuration.stream = streams
        configuration.form = form
        configuration.showsReasoning = showsReasoning
        configuration.idleTimeout = .milliseconds(Int64(idle))
        configuration.totalTimeout = .milliseconds(Int64(total))
        configuration.tls.caFile = try file(reader, .llmCAFile)
        configuration.tls.certificateFile = try file(reader, .llmCertificateFile)
        configuration.tls.keyFile = try file(reader, .llmKeyFile)
        guard (configuration.tls.certificateFile == nil) == (configuration.tls.keyFile == nil) else {
            throw SettingsError(.llmCertificateFile, "and \(Setting.llmKeyFile.name) need each other")
        }
        do throws(TLSFileError) { try configuration.tls.check() } catch {
            throw SettingsError(error.isAuthority ? .llmCAFile : .llmCertificateFile, error.description)
        }
        return configuration
    }

    /// How requests to the model are written.
    private static func requestForm(_ reader: SettingsReader) throws(SettingsError) -> RequestForm {
        var form = RequestForm()
        if let text = reader.string(.llmParameters) {
            do throws(ParameterError) { form.parameters = try RequestParameters(parsing: text) } catch {
                throw SettingsError(.llmParameters, error.description)
            }
        }
        form.streamOptions = try choice(reader, .llmStreamOptions)
        form.strictTurns = try choice(reader, .llmStrictTurns)
        let role = try reader.choice(.llmSystemRole, default: "system", of: RequestForm.SystemRole.allCases.map(\.rawValue))
        form.systemRole = RequestForm.SystemRole(rawValue: role) ?? .system
        form.reasoning = try reasoning(reader)
        form.toolNames = try reader.boolean(.llmToolNames, default: false)
        return form
    }

    private static func choice(_ reader: SettingsReader, _ setting: Setting) throws(SettingsError) -> RequestForm.Choice {
        let text = try reader.choice(setting, default: "auto", of: RequestForm.Choice.allCases.map(\.rawValue))
        return RequestForm.Choice(rawValue: text) ?? .auto
    }

    private static func reasoning(_ reader: SettingsReader) throws(SettingsError) -> ReasoningReplay {
        let scopes = ReasoningReplay.Scope.allCases.map(\.rawValue)
        let scope = ReasoningReplay.Scope(rawValue: try reader.choice(.llmReasoning, default: "all", of: scopes)) ?? .all
        let isRequired = try reader.boolean(.llmReasoningRequired, default: false)
        // A server that refuses the member refuses an empty one, too.
        guard !isRequired || scope != .none else {
            throw SettingsError(.llmReasoningRequired, "contradicts AGENT_RUNTIME__LLM_REASONING=none")
        }
        return ReasoningReplay(scope: scope, isRequired: isRequired)
    }

    /// What goes to the model's server as `X-Internal-Auth`. One that has a key of its own needs
    /// none of ours.
    private static func internalAuth(
        _ reader: SettingsReader, hasAPIKey: Bool, internalKey: String?
    ) throws(SettingsError) -> String? {
        let prefix = "key:"
        let problem = SettingsError(.llmInternalAuth, "must be internal, none or key:TEXT, with TEXT of printable ASCII characters")
        switch try key(reader, .llmInternalAuth) {
        case nil: return hasAPIKey ? nil : internalKey
        case "internal": return internalKey
        case "none": return nil
        case let value? where value.hasPrefix(prefix):
            let key = String(value.dropFirst(prefix.count))
            guard !key.isEmpty, key.first != " " else { throw problem }
            return key
        default: throw problem
        }
    }

    /// The model's name goes into each request's JSON, where a line break from a file would be
    /// refused far from its cause.
    static func model(_ reader: SettingsReader) throws(SettingsError) -> String {
        guard let name = reader.string(.llmModel) else { return "scripted" }
        guard !name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
            throw SettingsError(.llmModel, "must not have control characters, nor a line break at its end")
        }
        return name
    }
}
