import AgentService
import LanguageModels
import RedisClient

extension Settings {
    /// What an operator should know of the settings: unknown names, and values that can be used and
    /// are risky. Shows no secret.
    var warnings: [String] {
        unknown.map { "a variable is ignored: \($0)" }
            + [weakKey, keyForStrangers, modelInClear, redisInClear, shortLease].compactMap { $0 }
    }

    private var weakKey: String? {
        guard let internalAPIKey, internalAPIKey.utf8.count < KeyTable.shortestKey, HostName(host)?.isLoopback != true else { return nil }
        return "\(Setting.internalAPIKey.name) has fewer than \(KeyTable.shortestKey) characters: it can be guessed from \(host)"
    }

    private var modelHost: HostName? { llm.flatMap { HostName(url: $0.upstream.baseURL) } }

    private var keyForStrangers: String? {
        guard let llm, let internalAPIKey, llm.upstream.internalKey == internalAPIKey, modelHost?.isWithinDeployment != true else {
            return nil
        }
        return """
            \(Setting.internalAPIKey.name), which opens every session, is sent to \(modelHost?.text ?? "the model's server"); \
            \(Setting.llmInternalAuth.name)=none keeps it here
            """
    }

    private var modelInClear: String? {
        guard let llm, llm.upstream.baseURL.hasPrefix("http://"), modelHost?.isLoopback != true else { return nil }
        return "\(Setting.llmURL.name): conversations and keys go to \(modelHost?.text ?? "the model's server") in clear text"
    }

    private var redisInClear: String? {
        guard let redis, !redis.usesTLS, redis.hasPassword else { return nil }
        let hosts = redis.hosts.filter { HostName($0)?.isLoopback != true }
        guard let host = hosts.first else { return nil }
        return "\(Setting.redisURL.name): the password goes to \(host) in clear text; rediss:// encrypts it"
    }

    /// A replica gives up a connection that dies in silence after the timeout, and renews its leases
    /// over another connection only then.
    private var shortLease: String? {
        guard lease * 2 < redisTimeout * 3 else { return nil }
        return """
            \(Setting.lease.name) (\(lease.milliseconds)) should be at least one and a half times \(Setting.redisTimeout.name) \
            (\(redisTimeout.milliseconds)): otherwise one lost connection to Redis may cost a living replica its steps
            """
    }
}
