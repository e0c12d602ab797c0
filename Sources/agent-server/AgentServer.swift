import ArgumentParser
import FoundationEssentials
import Logging

/// The server's command line: flags, checks, and then ``ServerProcess``.
@main
struct AgentServer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent-server",
        abstract: "An agent runtime: turns of a language model, streamed to clients, with sessions in Redis.",
        discussion: "Settings are environment variables; a flag goes before its variable.\n\n" + Setting.overview,
        version: buildVersion,
        subcommands: [LayoutCommand.self]
    )

    @Option(help: ArgumentHelp(stringLiteral: Setting.host.help))
    var host: String?

    @Option(help: ArgumentHelp(stringLiteral: Setting.port.help))
    var port: String?

    @Option(help: ArgumentHelp(stringLiteral: Setting.redisURL.help))
    var redisURL: String?

    @Option(help: ArgumentHelp(stringLiteral: Setting.llmURL.help))
    var llmURL: String?

    @Option(help: ArgumentHelp(stringLiteral: Setting.llmModel.help))
    var llmModel: String?

    func run() async throws {
        HeapSettings.apply()
        HangUpSignal.ignore()
        DescriptorLimit.raise()
        let flags = [
            (Setting.host, host), (.port, port), (.redisURL, redisURL), (.llmURL, llmURL), (.llmModel, llmModel),
        ].compactMap { setting, value in value.map { (setting, $0) } }
        let settings: Settings
        do throws(SettingsError) {
            settings = try Settings(SettingsReader(environment: ProcessInfo.processInfo.environment, flags: flags))
        } catch {
            throw Exit.usage("\(error)")
        }
        let log = LogWriter(format: settings.logsJSON ? .json(replica: settings.replica) : .text, limit: settings.logQueue)
        Exit.ends(log)
        defer { log.finish() }
        try await ServerProcess(settings: settings, log: log).run()
    }
}
