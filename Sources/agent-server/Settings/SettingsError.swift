/// A setting that cannot be used, as one line that names it.
struct SettingsError: Error, CustomStringConvertible {
    var description: String

    init(_ setting: any SettingEntry, _ problem: String) {
        self.init("\(setting.name)\(setting.flag.map { " (\($0))" } ?? "")", problem)
    }

    /// - Parameter variable: A variable that is not a setting of its own.
    init(_ variable: String, _ problem: String) {
        description = "\(variable): \(problem)"
    }
}
