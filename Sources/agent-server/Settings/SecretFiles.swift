import FoundationEssentials

/// Secrets that stand in files, as orchestrators mount them: `NAME_FILE` names the file of the
/// setting `NAME`.
enum SecretFiles {
    /// A larger file is the wrong file, not a secret.
    private static let maximumBytes = 64 << 10

    /// Returns the environment with the files' contents in it.
    ///
    /// - Throws: ``SettingsError`` that names the setting and the file, and nothing of the content.
    static func read(_ environment: [String: String], flags: [(any SettingEntry, String)]) throws(SettingsError) -> [String: String] {
        var environment = environment
        for setting in Setting.all {
            guard let variable = setting.fileVariable, let path = environment[variable], !path.isEmpty else { continue }
            let flag = flags.first { $0.0.name == setting.name && !$0.1.isEmpty }
            guard environment[setting.name]?.isEmpty ?? true, flag == nil else {
                throw SettingsError(setting, "is given twice, as a value and by \(variable)")
            }
            environment[setting.name] = try content(of: path, variable)
        }
        return environment
    }

    /// Returns a file's text without the one line break that editors put at the end.
    private static func content(of path: String, _ variable: String) throws(SettingsError) -> String {
        guard let bytes = try? Data(contentsOf: URL(filePath: path)) else {
            throw SettingsError(variable, "the file \(path) cannot be read")
        }
        guard bytes.count <= maximumBytes, let text = String(validating: bytes, as: UTF8.self) else {
            throw SettingsError(variable, "the file \(path) is not UTF-8 text, or has more than \(maximumBytes) bytes")
        }
        // A carriage return and a line feed are one character.
        let value = text.last == "\n" || text.last == "\r\n" ? String(text.dropLast()) : text
        guard !value.isEmpty else { throw SettingsError(variable, "the file \(path) is empty") }
        return value
    }
}
