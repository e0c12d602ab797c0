import AgentService
import LanguageModels
import NIOCore
import RedisClient
import TransportSecurity

extension Settings {
    /// Reads how the model's server is reached; nil for the scripted model. All settings are
    /// checked, also those that the scripted model does not need.
    static func llm(
        _ reader: SettingsReader, internalKey: String?, hasKeysFile: Bool
    ) throws(SettingsError) -> ModelSettings? {
        var configuration = UpstreamConfiguration(baseURL: "")
        var format = OpenAIChat()
        configuration.apiKey = try reader.value(Setting.llmAPIKey)
        configuration.internalKey =
            switch try reader.value(Setting.llmInternalAuth) {
            // A server that has a key of its own needs none of ours.
            case nil: configuration.apiKey == nil && !hasKeysFile ? internalKey : nil
            case .clientsKey where hasKeysFile:
                throw SettingsError(
                    Setting.llmInternalAuth, "cannot be internal with \(Setting.keysFile.name): clients' keys stay here")
            case .clientsKey: internalKey
            case .nothing: nil
            case .key(let key): key
            }
        format.stream = try reader.value(Setting.llmStream)
        format.form = try requestForm(reader)
        format.showsReasoning = try reader.value(Setting.llmReasoningShow)
        configuration.idleTimeout = .milliseconds(try reader.value(Setting.llmIdleTimeout).milliseconds)
        configuration.totalTimeout = .milliseconds(try reader.value(Setting.llmTimeout).milliseconds)
        guard let url = try reader.value(Setting.llmURL) else { return nil }
        configuration.baseURL = url
        try readTLS(reader, &configuration)
        return ModelSettings(upstream: configuration, format: format)
    }

    private static func readTLS(
        _ reader: SettingsReader, _ configuration: inout UpstreamConfiguration
    ) throws(SettingsError) {
        configuration.tls.caFile = try reader.value(Setting.llmCAFile)
        configuration.tls.certificateFile = try reader.value(Setting.llmCertificateFile)
        configuration.tls.keyFile = try reader.value(Setting.llmKeyFile)
        guard (configuration.tls.certificateFile == nil) == (configuration.tls.keyFile == nil) else {
            throw SettingsError(Setting.llmCertificateFile, "and \(Setting.llmKeyFile.name) need each other")
        }
        do throws(TLSFileError) { try configuration.tls.check() } catch {
            throw SettingsError(error.isAuthority ? Setting.llmCAFile : Setting.llmCertificateFile, error.description)
        }
    }

    /// The model's name and where it is, for the log. Shows no secret: a URL's user, password and
    /// query are left out.
    var modelDescription: String {
        guard let llm else { return "the scripted model" }
        let url = llm.upstream.baseURL
        let rest = url.firstRange(of: "://").map { url[$0.upperBound...] } ?? ""
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        return "\(model) at \(authority.split(separator: "@").last ?? "?")"
    }

    /// Reads how requests to the model are written.
    private static func requestForm(_ reader: SettingsReader) throws(SettingsError) -> RequestForm {
        var form = RequestForm()
        form.parameters = try reader.value(Setting.llmParameters) ?? RequestParameters()
        form.streamOptions = try reader.value(Setting.llmStreamOptions)
        form.strictTurns = try reader.value(Setting.llmStrictTurns)
        form.systemRole = try reader.value(Setting.llmSystemRole)
        form.toolNames = try reader.value(Setting.llmToolNames)
        form.reasoning = ReasoningReplay(
            scope: try reader.value(Setting.llmReasoning), isRequired: try reader.value(Setting.llmReasoningRequired))
        // A server that refuses the member refuses an empty one, too.
        guard !form.reasoning.isRequired || form.reasoning.scope != .none else {
            throw SettingsError(Setting.llmReasoningRequired, "contradicts \(Setting.llmReasoning.name)=none")
        }
        return form
    }

    static func systemPrompt(_ reader: SettingsReader) throws(SettingsError) -> String? {
        guard let path = try reader.value(Setting.systemPromptFile) else { return builtInSystemPrompt }
        let bytes: [UInt8]
        do throws(SettingProblem) { bytes = Array(try SettingsFile.contents(of: path)) } catch {
            throw SettingsError(Setting.systemPromptFile, error.text)
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw SettingsError(Setting.systemPromptFile, "\(path) is not UTF-8")
        }
        let trimmed = String(text.trimmingSuffix { $0.isWhitespace })
        return trimmed.isEmpty ? nil : trimmed
    }

    static func tools(_ reader: SettingsReader) throws(SettingsError) -> ToolRegistry {
        guard let path = try reader.value(Setting.toolsFile) else { return .builtIn }
        let bytes: ByteBuffer
        do throws(SettingProblem) { bytes = ByteBuffer(bytes: try SettingsFile.contents(of: path)) } catch {
            throw SettingsError(Setting.toolsFile, error.text)
        }
        do throws(ToolSchemaError) { return try ToolRegistry(parsing: bytes) } catch {
            throw SettingsError(Setting.toolsFile, "\(path): \(error)")
        }
    }
}

extension StringProtocol {
    fileprivate func trimmingSuffix(while predicate: (Character) -> Bool) -> SubSequence {
        var end = endIndex
        while end > startIndex, predicate(self[index(before: end)]) { end = index(before: end) }
        return self[startIndex..<end]
    }
}
