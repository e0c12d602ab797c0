import FoundationEssentials

/// The files that settings name.
enum SettingsFile {
    static func contents(of path: String) throws(SettingProblem) -> Data {
        do {
            return try Data(contentsOf: URL(filePath: path))
        } catch {
            throw SettingProblem("the file \(path) cannot be read")
        }
    }
}
