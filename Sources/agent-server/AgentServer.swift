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
        let flags = [
            (Setting.host, host), (.port, port), (.redisURL, redisURL), (.llmURL, llmURL), (.llmModel, llmModel),
        ].compactMap { setting, value in value.map { (setting, $0) } }
        let settings: Settings
        do throws(SettingsError) {
            settings = try Settings(SettingsReader(environment: ProcessInfo.processInfo.environment, flags: flags))
        } catch {
            throw Exit.usage("\(error)")
        }
        try await ServerProcess(settings: settings).run()
    }
}

/// One line on standard error, and a code of sysexits.h.
enum Exit {
    /// EX_USAGE: a setting cannot be used.
    static func usage(_ line: String) -> ExitCode {
        say(line)
        return ExitCode(64)
    }

    /// EX_UNAVAILABLE: something that the server needs is not there.
    static func unavailable(_ line: String) -> ExitCode {
        say(line)
        return ExitCode(69)
    }

    private static func say(_ line: String) {
        var output = StandardError()
        print("agent-server: \(line)", to: &output)
    }
}
