import ArgumentParser
import FoundationEssentials
import Logging

/// The server's command line: flags, checks, and then ``ServerProcess``.
@main
struct AgentServer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent-server",
        abstract: "An agent runtime: turns of a language model, streamed to clients, with sessions in Redis.",
        discussion: """
            Settings are environment variables; a flag overrides its variable.

            \(SettingsText.help)

            \(ScriptedModelText.help)
            """,
        version: buildVersion,
        subcommands: [KeysCommand.self, LayoutCommand.self, SettingsCommand.self]
    )

    @Option(help: ArgumentHelp(stringLiteral: SettingsText.plain(Setting.host.help)))
    var host: String?

    @Option(help: ArgumentHelp(stringLiteral: SettingsText.plain(Setting.port.help)))
    var port: String?

    @Option(help: ArgumentHelp(stringLiteral: SettingsText.plain(Setting.redisURL.help)))
    var redisURL: String?

    @Option(help: ArgumentHelp(stringLiteral: SettingsText.plain(Setting.llmURL.help)))
    var llmURL: String?

    @Option(help: ArgumentHelp(stringLiteral: SettingsText.plain(Setting.llmModel.help)))
    var llmModel: String?

    func run() async throws {
        HeapSettings.apply()
        HangUpSignal.ignore()
        DescriptorLimit.raise()
        let values: [(any SettingEntry, String?)] = [
            (Setting.host, host), (Setting.port, port), (Setting.redisURL, redisURL), (Setting.llmURL, llmURL),
            (Setting.llmModel, llmModel),
        ]
        let flags = values.compactMap { setting, value in value.map { (setting, $0) } }
        let settings: Settings
        do throws(SettingsError) {
            settings = try Settings(SettingsReader(environment: ProcessInfo.processInfo.environment, flags: flags))
        } catch {
            throw Exit.usage("\(error)")
        }
        let log = LogWriter(format: settings.logStyle.format(replica: settings.replica), limit: settings.logQueue)
        Exit.ends(log)
        defer { log.finish() }
        try await ServerProcess(settings: settings, log: log).run()
    }
}
