import AgentService
import LanguageModels
import RedisClient
import SessionStore

/// Every setting of the server. The files `Setting+….swift` have one group each.
enum Setting {
    /// What the variables of all settings but `HOST` and `PORT` begin with.
    static let prefix = "AGENT_RUNTIME__"

    /// Settings that belong together, under one heading.
    struct Group: Sendable {
        var title: String
        var entries: [any SettingEntry]
    }

    /// The groups in the order of `--help` and of docs/settings.md.
    static let groups = [server, access, issuer, redis, model, modelServer, steps, limits, accountLimits, logs]

    static let all: [any SettingEntry] = groups.flatMap(\.entries)
}

/// The defaults of the libraries, which stand there once.
enum LibraryDefaults {
    static let redis = RedisConfiguration(.tcp(host: "127.0.0.1", port: 6379))
    static let store = StoreConfiguration(replica: "")
    static let turns = TurnConfiguration(replica: "", systemPrompt: nil)
    static let model = ModelSettings(upstream: UpstreamConfiguration(baseURL: ""))
}
