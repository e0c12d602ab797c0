import Configuration

/// A setting that cannot be used. One line that names it.
struct SettingsError: Error, CustomStringConvertible {
    var description: String

    init(_ setting: Setting, _ problem: String) {
        self.init("\(setting.name)\(setting.flag.map { " (\($0))" } ?? "")", problem)
    }

    /// Of a variable that is no setting of its own.
    init(_ variable: String, _ problem: String) {
        description = "\(variable): \(problem)"
    }
}

/// Reads settings: a flag goes before the environment, and what is empty counts as absent.
struct SettingsReader {
    private let config: ConfigReader

    /// - Parameter flags: What the command line gives, by setting.
    init(environment: [String: String], flags: [(Setting, String)]) throws(SettingsError) {
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

    func string(_ setting: Setting) -> String? {
        let value = config.string(forKey: ConfigKey(setting.keyComponents), isSecret: setting.isSecret)
        return value?.isEmpty == true ? nil : value
    }

    func integer(_ setting: Setting, default fallback: Int, in range: ClosedRange<Int>) throws(SettingsError) -> Int {
        try integer(setting, in: range) ?? fallback
    }

    func integer(_ setting: Setting, in range: ClosedRange<Int>) throws(SettingsError) -> Int? {
        guard let text = string(setting) else { return nil }
        guard let value = Int(text), range.contains(value) else {
            throw SettingsError(setting, "must be a whole number from \(range.lowerBound) to \(range.upperBound), not “\(text)”")
        }
        return value
    }

    func boolean(_ setting: Setting, default fallback: Bool) throws(SettingsError) -> Bool {
        switch string(setting)?.lowercased() {
        case nil: return fallback
        case "true", "1", "yes", "on": return true
        case "false", "0", "no", "off": return false
        case let text?: throw SettingsError(setting, "must be true or false, not “\(text)”")
        }
    }

    func choice(_ setting: Setting, default fallback: String, of choices: [String]) throws(SettingsError) -> String {
        guard let text = string(setting)?.lowercased() else { return fallback }
        guard choices.contains(text) else {
            throw SettingsError(setting, "must be one of \(choices.joined(separator: ", ")), not “\(text)”")
        }
        return text
    }
}
