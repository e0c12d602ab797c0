/// What `--help` and docs/settings.md say of the settings.
enum SettingsText {
    /// The list that `--help` shows.
    static var help: String {
        Setting.groups.map { group in
            "\(group.title):\n" + group.entries.map(help).joined(separator: "\n")
        }.joined(separator: "\n\n")
    }

    /// The part of docs/settings.md that `agent-server settings` prints: one table for each group.
    static var markdown: String {
        Setting.groups.map { group in
            let rows = group.entries.map(row).joined(separator: "\n")
            return "## \(group.title)\n\n| name | default | values | meaning |\n| --- | --- | --- | --- |\n\(rows)\n"
        }.joined(separator: "\n")
    }

    private static func help(_ entry: any SettingEntry) -> String {
        var lines = [entry.name + (entry.flag.map { " (\($0))" } ?? "")]
        lines.append("    \(plain(entry.help))")
        if let values = entry.values { lines.append("    Values: \(plain(values)).") }
        lines.append("    Default: \(plain(entry.defaultText)).")
        if let file = entry.fileVariable { lines.append("    Or \(file): the path of a file with the value.") }
        if let link = entry.link { lines.append("    See docs/\(link).") }
        return lines.joined(separator: "\n")
    }

    private static func row(_ entry: any SettingEntry) -> String {
        let name = "`\(entry.name)`" + (entry.flag.map { " (`\($0)`)" } ?? "")
        let file = entry.fileVariable.map { " A secret: `\($0)` may name a file with it." } ?? ""
        let link = entry.link.map { " See [\($0.prefix { $0 != "#" })](\($0))." } ?? ""
        return "| \(name) | \(entry.defaultText) | \(entry.values ?? "text") | \(entry.help)\(file)\(link) |"
    }

    /// Without the marks of Markdown, which a terminal shows as they are.
    static func plain(_ markdown: String) -> String { markdown.replacing("`", with: "") }
}
