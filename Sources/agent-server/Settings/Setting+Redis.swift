import RedisClient
import SessionStore

extension Setting {
    static let redisURL = SettingDefinition(
        "AGENT_RUNTIME__REDIS_URL", flag: "--redis-url", .redisURL, absent: "a private `redis-server`", secret: true,
        link: "operations.md#which-redis",
        "Which Redis has the sessions. Without it the server starts a private `redis-server`.")
    static let sentinelUsername = SettingDefinition(
        "AGENT_RUNTIME__SENTINEL_USERNAME", .string,
        "The user of the sentinels themselves, if they have users. Overrides the one in the URL.")
    static let sentinelPassword = SettingDefinition(
        "AGENT_RUNTIME__SENTINEL_PASSWORD", .string, secret: true,
        "The password of the sentinels themselves. Overrides the one in the URL.")
    static let redisCAFile = SettingDefinition(
        "AGENT_RUNTIME__REDIS_CA_FILE", .file, absent: "the system's", "PEM file with the certificates to trust for `rediss://`.")
    static let redisCertificateFile = SettingDefinition(
        "AGENT_RUNTIME__REDIS_CERT_FILE", .file,
        """
        PEM file with the client's certificate and its chain, for a Redis with `tls-auth-clients yes`. Needs \
        `AGENT_RUNTIME__REDIS_KEY_FILE`.
        """)
    static let redisKeyFile = SettingDefinition(
        "AGENT_RUNTIME__REDIS_KEY_FILE", .file, "PEM file with the private key of `AGENT_RUNTIME__REDIS_CERT_FILE`.")
    static let redisTimeout = SettingDefinition(
        "AGENT_RUNTIME__REDIS_TIMEOUT_MS", .milliseconds(in: 10...600_000), default: LibraryDefaults.redis.commandTimeout,
        "How long Redis may take to reply to a command.")
    static let redisMaxInFlight = SettingDefinition(
        "AGENT_RUNTIME__REDIS_MAX_IN_FLIGHT", .integer(in: 16...10_000_000), default: LibraryDefaults.redis.maxInFlight,
        "Commands that may be in flight on one connection.")
    static let ackReplicas = SettingDefinition(
        "AGENT_RUNTIME__ACK_REPLICAS", .integer(in: 0...16), default: 0,
        link: "operations.md#what-an-acknowledged-write-survives",
        "How many of Redis's replicas must have a commit before its client sees the result.")
    static let allowEviction = SettingDefinition(
        "AGENT_RUNTIME__ALLOW_EVICTION", .boolean, default: false,
        "`true` starts on a Redis that may evict sessions, with a warning.")
    static let redisPrefix = SettingDefinition(
        "AGENT_RUNTIME__REDIS_PREFIX", .keyspace, default: RedisKeyspace.standard, link: "operations.md#sharing-a-redis",
        """
        What every key and channel in Redis begins with. Deployments with different prefixes can share a Redis. Equal on all \
        replicas.
        """)
    static let dataDirectory = SettingDefinition(
        "AGENT_RUNTIME__DATA_DIR", .string, default: "./.agent-runtime", "Where the private `redis-server` keeps its files.")

    static let redis = Group(
        title: "Redis",
        entries: [
            redisURL, sentinelUsername, sentinelPassword, redisCAFile, redisCertificateFile, redisKeyFile, redisTimeout,
            redisMaxInFlight, redisPrefix, ackReplicas, allowEviction, dataDirectory,
        ])
}

extension SettingFormat<RedisConfiguration> {
    /// A Redis URL. Errors do not show it.
    static var redisURL: Self {
        Self(
            values: """
                `redis://[user:pass@]host[:port][/db]`, `redis-sentinel://[user:pass@]host:port,host:port/NAME`, \
                `redis-cluster://[user:pass@]host:port,host:port`, each as `rediss…` for TLS, or `unix:///path[?db=N]`
                """
        ) { url throws(SettingProblem) in
            do { return try RedisConfiguration(url: url) } catch { throw SettingProblem("\(error)") }
        }
    }
}

extension SettingFormat<RedisKeyspace> {
    static var keyspace: Self {
        Self(values: "1–32 of `A-Z a-z 0-9 _ -`", text: { "`\($0.prefix)`" }) { prefix throws(SettingProblem) in
            guard let keyspace = RedisKeyspace(prefix) else { throw SettingProblem("must be 1–32 of A-Z a-z 0-9 _ -") }
            return keyspace
        }
    }
}
