import ArgumentParser

/// `agent-server settings`: prints the tables of docs/settings.md.
struct SettingsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "settings",
        abstract: "Prints the settings as Markdown: the tables of docs/settings.md."
    )

    func run() {
        print(SettingsText.markdown, terminator: "")
    }
}
