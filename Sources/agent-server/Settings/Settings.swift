import AgentService
import FoundationEssentials
import LanguageModels
import Logging
import RedisClient
import SessionStore
import TransportSecurity

/// The server's settings, checked.
struct Settings: Sendable {
    var host: String
    var port: Int
    /// Nil for the private `redis-server`.
    var redis: RedisConfiguration?
    var redisTimeout: Duration
    var redisMaxInFlight: Int
    var keyspace: RedisKeyspace
    var ackReplicas: Int
    var allowsEviction: Bool
    var maximumMessages: Int
    var maximumHistoryBytes: Int
    var historyBytesInFlight: Int
    var bodyBytesInFlight: Int
    var dataDirectory: String
    /// Nil for the scripted model.
    var llm: ModelSettings?
    var model: String
    var internalAPIKey: String?
    /// The path of the keys file.
    var keysFile: String?
    /// The issuer of tokens, and the tokens that are accepted; nil for none.
    var tokens: TokenSettings?
    /// Names that requests without a key may have in `Host` and `Origin` beside loopback's.
    var allowedHosts: Set<HostName>
    /// Web pages of other hosts that may use the server.
    var corsOrigins: AllowedOrigins
    /// Sign tickets for streams, the first one; nil for no tickets.
    var ticketKeys: [String]?
    var systemPrompt: String?
    var tools: ToolRegistry
    var replica: String
    var lease: Duration
    var sessionTTL: Duration?
    var sessionMaximumAge: Duration?
    var drain: Duration
    var drainNotice: Duration
    var wait: Duration
    var keepAlive: Duration
    var followTick: Duration
    var bodyLimit: Int
    var answerLimit: Int
    var clientBacklog: Int
    /// What each account may use, unless its key says otherwise.
    var usageLimits: UsageLimits
    var tokenReserve: Int
    var maximumSteps: Int
    var idleTimeout: Duration
    var logLevel: Logger.Level
    var logStyle: LogStyle
    var logQueue: Int
    var audit: AuditLevel
    var version: String
    /// Variables that begin like settings and are none.
    var unknown: [UnknownSetting]
}

extension Settings {
    static let builtInSystemPrompt = """
        You are a helpful assistant that works in the user's editor. You have tools; call one when it helps, and answer from its result.
        """

    init(_ reader: SettingsReader) throws(SettingsError) {
        unknown = try Self.unknown(reader)
        host = try reader.value(Setting.host)
        port = try reader.value(Setting.port)
        redisTimeout = try reader.value(Setting.redisTimeout)
        redisMaxInFlight = try reader.value(Setting.redisMaxInFlight)
        keyspace = try reader.value(Setting.redisPrefix)
        ackReplicas = try reader.value(Setting.ackReplicas)
        allowsEviction = try reader.value(Setting.allowEviction)
        maximumMessages = try reader.value(Setting.maximumMessages)
        maximumHistoryBytes = try reader.value(Setting.maximumHistoryBytes)
        historyBytesInFlight = try reader.value(Setting.historyBytesInFlight)
        bodyBytesInFlight = try reader.value(Setting.bodyBytesInFlight)
        redis = try Self.redis(reader)
        dataDirectory = try reader.value(Setting.dataDirectory)
        internalAPIKey = try reader.value(Setting.internalAPIKey)
        keysFile = try reader.value(Setting.keysFile)
        tokens = try Self.tokens(reader)
        llm = try Self.llm(reader, internalKey: internalAPIKey, hasKeysFile: keysFile != nil)
        model = try reader.value(Setting.llmModel)
        allowedHosts = try reader.value(Setting.allowedHosts)
        corsOrigins = try reader.value(Setting.corsOrigins)
        ticketKeys = try reader.value(Setting.ticketKeys)
        systemPrompt = try Self.systemPrompt(reader)
        tools = try Self.tools(reader)
        replica = try reader.value(Setting.replica) ?? "\(ProcessInfo.processInfo.hostName):\(port)"
        lease = try reader.value(Setting.lease)
        sessionTTL = try reader.value(Setting.sessionTTL)
        sessionMaximumAge = try reader.value(Setting.sessionMaximumAge)
        drain = try reader.value(Setting.drain)
        drainNotice = try reader.value(Setting.drainNotice)
        wait = try reader.value(Setting.wait)
        keepAlive = try reader.value(Setting.keepAlive)
        followTick = try reader.value(Setting.followTick)
        bodyLimit = try reader.value(Setting.bodyLimit)
        answerLimit = try reader.value(Setting.answerLimit)
        clientBacklog = try reader.value(Setting.clientBacklog)
        usageLimits = try UsageLimits(reader)
        tokenReserve = try reader.value(Setting.tokenReserve)
        maximumSteps = try reader.value(Setting.maximumSteps)
        idleTimeout = try reader.value(Setting.idleTimeout)
        logLevel = try reader.value(Setting.logLevel)
        logStyle = try reader.value(Setting.logFormat)
        logQueue = try reader.value(Setting.logQueue)
        audit = try reader.value(Setting.audit)
        version = try reader.value(Setting.version) ?? buildVersion
        try checkTogether()
    }

    /// Checks what one setting needs of another.
    private func checkTogether() throws(SettingsError) {
        if let sessionTTL, sessionTTL < lease * 2 {
            throw SettingsError(
                Setting.sessionTTL,
                "must be at least twice \(Setting.lease.name): a lease is renewed after a third, and so is the expiry")
        }
        guard hasCredentials || HostName(host)?.isLoopback == true else {
            throw SettingsError(
                Setting.internalAPIKey,
                "or \(Setting.keysFile.name), or \(Setting.tokenIssuer.name), must be set to listen on \(host): without credentials only a loopback address is bound"
            )
        }
        if let internalAPIKey, keysFile != nil, internalAPIKey.utf8.count < KeyTable.shortestKey {
            throw SettingsError(
                Setting.internalAPIKey, "must have at least \(KeyTable.shortestKey) characters beside \(Setting.keysFile.name)")
        }
        try checkOrigins()
    }

    private func checkOrigins() throws(SettingsError) {
        guard corsOrigins.isAny, hasCredentials else { return }
        throw SettingsError(Setting.corsOrigins, "must not be * on a server with credentials: name the origins of your pages")
    }

    /// How long a stream may go on after its credential has ended: as long as the credential would
    /// still be accepted, and long enough to get another one.
    var credentialGrace: Duration { max(.seconds(30), tokens?.rules.leeway ?? .zero) }

    /// Whether requests need a credential.
    var hasCredentials: Bool { internalAPIKey != nil || keysFile != nil || tokens != nil }

    private static func unknown(_ reader: SettingsReader) throws(SettingsError) -> [UnknownSetting] {
        let isStrict = try reader.value(Setting.strictSettings)
        guard !isStrict || reader.unknown.isEmpty else {
            throw SettingsError(
                Setting.strictSettings, reader.unknown.map(\.description).joined(separator: "; "))
        }
        return reader.unknown
    }
}
