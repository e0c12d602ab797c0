/// One setting of the server: an environment variable, for some with a flag. Everything that is
/// said of it stands here once: `--help`, the tables of docs/settings.md and the parsing follow.
struct SettingDefinition<Value: Sendable>: SettingEntry {
    let name: String
    let flag: String?
    let isSecret: Bool
    let help: String
    let link: String?
    let values: String?
    let defaultText: String
    /// The value of a setting that is absent.
    let fallback: Value
    /// Reads a value from a text that is not empty.
    let parse: @Sendable (String) throws(SettingProblem) -> Value

    /// A setting with a default.
    ///
    /// - Parameters:
    ///   - help: One or more sentences in Markdown.
    ///   - link: Where `docs/` has more: a page, maybe with an anchor.
    init(
        _ name: String, flag: String? = nil, _ format: SettingFormat<Value>, default fallback: Value,
        secret isSecret: Bool = false, link: String? = nil, _ help: String
    ) {
        self.name = name
        self.flag = flag
        self.isSecret = isSecret
        self.help = help
        self.link = link
        self.fallback = fallback
        values = format.values
        defaultText = format.text(fallback)
        parse = format.parse
    }

    /// A setting that may be absent.
    ///
    /// - Parameter words: What its absence means, in a few words.
    init<Wrapped: Sendable>(
        _ name: String, flag: String? = nil, _ format: SettingFormat<Wrapped>, absent words: String = "none",
        secret isSecret: Bool = false, link: String? = nil, _ help: String
    ) where Value == Wrapped? {
        self.name = name
        self.flag = flag
        self.isSecret = isSecret
        self.help = help
        self.link = link
        fallback = nil
        values = format.values
        defaultText = words
        let parse = format.parse
        self.parse = { text throws(SettingProblem) in try parse(text) }
    }
}

/// What is said of a setting, whatever the type of its value.
protocol SettingEntry: Sendable {
    /// The environment variable.
    var name: String { get }
    var flag: String? { get }
    /// Secrets may stand in a file, and are never logged.
    var isSecret: Bool { get }
    /// One or more sentences in Markdown.
    var help: String { get }
    /// Where `docs/` has more: a page, maybe with an anchor.
    var link: String? { get }
    /// The values that are taken, in Markdown; nil when any text is.
    var values: String? { get }
    /// The default in Markdown, or what the setting's absence means.
    var defaultText: String { get }
}

extension SettingEntry {
    /// For a secret: the variable that names a file which holds it.
    var fileVariable: String? { isSecret ? "\(name)_FILE" : nil }

    /// The components of its swift-configuration key: `AGENT_RUNTIME__LLM_MODEL` is
    /// `agent.runtime_.llm.model`.
    var keyComponents: [String] {
        guard name.hasPrefix(Setting.prefix) else { return [name.lowercased()] }
        let words = name.dropFirst(Setting.prefix.count).lowercased().split(separator: "_")
        return ["agent", "runtime_"] + words.map(String.init)
    }
}
