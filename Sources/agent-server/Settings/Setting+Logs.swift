import Logging

extension Setting {
    static let logLevel = SettingDefinition(
        "AGENT_RUNTIME__LOG_LEVEL", .choice, default: Logger.Level.info, "The least important level that is logged.")
    static let logFormat = SettingDefinition(
        "AGENT_RUNTIME__LOG_FORMAT", .choice, default: LogStyle.text, link: "operations.md#logs",
        "How log lines look. They go to standard error.")
    static let logQueue = SettingDefinition(
        "AGENT_RUNTIME__LOG_QUEUE", .integer(in: 16...1_000_000), default: 8192,
        "Log lines that may wait to be written. The server drops further lines and counts them.")

    static let logs = Group(title: "Logs", entries: [logLevel, logFormat, logQueue, audit])
}

/// The names of the forms that log lines can have.
enum LogStyle: String, Sendable, CaseIterable {
    case text, json

    func format(replica: String) -> LogFormat {
        switch self {
        case .text: .text
        case .json: .json(replica: replica)
        }
    }
}
