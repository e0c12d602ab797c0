import Configuration

/// Reads settings: a flag overrides the environment, and an empty value counts as absent.
struct SettingsReader {
    private let config: ConfigReader
    /// Variables that begin like settings and are none.
    let unknown: [UnknownSetting]

    /// - Parameter flags: The values that the command line gives.
    init(environment: [String: String], flags: [(any SettingEntry, String)] = []) throws(SettingsError) {
        unknown = UnknownSetting.all(in: environment)
        let environment = try SecretFiles.read(environment, flags: flags)
        let values = flags.filter { !$0.1.isEmpty }.map {
            (AbsoluteConfigKey($0.0.keyComponents), ConfigValue(.string($0.1), isSecret: $0.0.isSecret))
        }
        config = ConfigReader(providers: [
            InMemoryProvider(name: "flags", values: Dictionary(values) { _, last in last }),
            EnvironmentVariablesProvider(
                environmentVariables: environment,
                secretsSpecifier: .specific(Set(Setting.all.filter(\.isSecret).map(\.name)))
            ),
        ])
    }

    /// Returns the value of a setting, or its default if it is absent.
    func value<Value>(_ setting: SettingDefinition<Value>) throws(SettingsError) -> Value {
        let text = config.string(forKey: ConfigKey(setting.keyComponents), isSecret: setting.isSecret)
        guard let text, !text.isEmpty else { return setting.fallback }
        do throws(SettingProblem) {
            return try setting.parse(text)
        } catch {
            throw SettingsError(setting, error.text)
        }
    }
}
