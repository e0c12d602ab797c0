import AgentService
import FoundationEssentials
import Logging
import NIOCore
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
    var ackReplicas: Int
    var allowsEviction: Bool
    var maximumMessages: Int
    var maximumHistoryBytes: Int
    var historyBytesInFlight: Int
    var bodyBytesInFlight: Int
    var dataDirectory: String
    /// Nil for the scripted model.
    var llm: OpenAIProvider.Configuration?
    var model: String
    var internalAPIKey: String?
    /// Names beside loopback's that requests without a key may name.
    var allowedHosts: Set<HostName>
    var systemPrompt: String?
    var tools: ToolRegistry
    var replica: String
    var lease: Duration
    var sessionTTL: Duration?
    var drain: Duration
    var drainNotice: Duration
    var wait: Duration
    var keepAlive: Duration
    var followTick: Duration
    var bodyLimit: Int
    var answerLimit: Int
    var clientBacklog: Int
    var maximumSteps: Int
    var idleTimeout: Duration
    var logLevel: Logger.Level
    var logsJSON: Bool
    var logQueue: Int
    var version: String
}

extension Settings {
    static let builtInSystemPrompt = """
        You are a helpful assistant that works in the user's editor. You have tools; call one when it helps, and answer from its result.
        """

    init(_ reader: SettingsReader) throws(SettingsError) {
        host = reader.string(.host) ?? "127.0.0.1"
        port = try reader.integer(.port, default: 8001, in: 0...65535)
        redisTimeout = .milliseconds(try reader.integer(.redisTimeout, default: 2000, in: 10...600_000))
        redisMaxInFlight = try reader.integer(.redisMaxInFlight, default: 65536, in: 16...10_000_000)
        ackReplicas = try reader.integer(.ackReplicas, default: 0, in: 0...16)
        allowsEviction = try reader.boolean(.allowEviction, default: false)
        maximumMessages = try reader.integer(.maximumMessages, default: 100_000, in: 2...10_000_000)
        maximumHistoryBytes = try reader.integer(.maximumHistoryBytes, default: 32 << 20, in: 4096...(1 << 40))
        historyBytesInFlight = try reader.integer(.historyBytesInFlight, default: 128 << 20, in: (1 << 20)...(1 << 40))
        bodyBytesInFlight = try reader.integer(.bodyBytesInFlight, default: 64 << 20, in: (1 << 20)...(1 << 40))
        redis = try Self.redis(reader)
        redis?.commandTimeout = redisTimeout
        redis?.maxInFlight = redisMaxInFlight
        dataDirectory = reader.string(.dataDirectory) ?? "./.agent-runtime"
        internalAPIKey = try Self.key(reader, .internalAPIKey)
        llm = try Self.llm(reader, internalKey: internalAPIKey)
        model = try Self.model(reader)
        allowedHosts = try Self.allowedHosts(reader)
        systemPrompt = try Self.systemPrompt(reader)
        tools = try Self.tools(reader)
        replica = reader.string(.replica) ?? "\(ProcessInfo.processInfo.hostName):\(port)"
        lease = .milliseconds(try reader.integer(.lease, default: 3000, in: 100...600_000))
        sessionTTL = try reader.integer(.sessionTTL, in: 1...1_000_000_000).map { .seconds($0) }
        if let sessionTTL, sessionTTL < lease * 2 {
            throw SettingsError(
                .sessionTTL, "must be at least twice AGENT_RUNTIME__LEASE_MS: a lease is renewed after a third, and so is the expiry")
        }
        drain = .seconds(try reader.integer(.drain, default: 30, in: 0...86400))
        drainNotice = .seconds(try reader.integer(.drainNotice, default: 2, in: 0...600))
        wait = .seconds(try reader.integer(.wait, default: 30, in: 0...3600))
        keepAlive = .seconds(try reader.integer(.keepAlive, default: 15, in: 1...3600))
        followTick = .milliseconds(try reader.integer(.followTick, default: 1000, in: 10...60_000))
        bodyLimit = try reader.integer(.bodyLimit, default: 4 << 20, in: 1024...(1 << 30))
        answerLimit = try reader.integer(.answerLimit, default: 4 << 20, in: 1024...(1 << 28))
        clientBacklog = try reader.integer(.clientBacklog, default: 1 << 20, in: 4096...(1 << 30))
        maximumSteps = try reader.integer(.maximumSteps, default: 20_000, in: 1...1_000_000)
        idleTimeout = .seconds(try reader.integer(.idleTimeout, default: 75, in: 1...86400))
        let levels = Logger.Level.allCases.map(\.rawValue)
        logLevel = Logger.Level(rawValue: try reader.choice(.logLevel, default: "info", of: levels)) ?? .info
        logsJSON = try reader.choice(.logFormat, default: "text", of: ["text", "json"]) == "json"
        logQueue = try reader.integer(.logQueue, default: 8192, in: 16...1_000_000)
        version = reader.string(.version) ?? buildVersion
        guard internalAPIKey != nil || HostName(host)?.isLoopback == true else {
            throw SettingsError(
                .internalAPIKey, "must be set to listen on \(host): without a key only a loopback address is bound")
        }
    }

    /// What can stand in a header, and arrives there as it was sent.
    static func key(_ reader: SettingsReader, _ setting: Setting) throws(SettingsError) -> String? {
        guard let key = reader.string(setting) else { return nil }
        guard key.utf8.allSatisfy({ 0x20...0x7E ~= $0 }), key.first != " ", key.last != " " else {
            throw SettingsError(setting, "must be of printable ASCII characters, without a space at its ends")
        }
        return key
    }

    private static func redis(_ reader: SettingsReader) throws(SettingsError) -> RedisConfiguration? {
        guard let url = reader.string(.redisURL) else { return nil }
        do {
            var configuration = try RedisConfiguration(url: url)
            configuration.tls.caFile = try file(reader, .redisCAFile)
            configuration.tls.certificateFile = try file(reader, .redisCertificateFile)
            configuration.tls.keyFile = try file(reader, .redisKeyFile)
            guard (configuration.tls.certificateFile == nil) == (configuration.tls.keyFile == nil) else {
                throw SettingsError(.redisCertificateFile, "and \(Setting.redisKeyFile.name) need each other")
            }
            if configuration.usesTLS { try checkTLS(configuration) }
            try sentinelCredentials(reader, &configuration)
            return configuration
        } catch let error as SettingsError {
            throw error
        } catch {
            throw SettingsError(.redisURL, "\(error)")
        }
    }

    /// Settings go before what the URL says.
    private static func sentinelCredentials(_ reader: SettingsReader, _ configuration: inout RedisConfiguration) throws(SettingsError) {
        guard case .sentinel(var group) = configuration.topology else { return }
        if let password = reader.string(.sentinelPassword) { group.password = password }
        if let username = reader.string(.sentinelUsername) { group.username = username }
        guard group.username == nil || group.password != nil else { throw SettingsError(.sentinelUsername, "needs a password beside it") }
        configuration.topology = .sentinel(group)
    }

    private static func systemPrompt(_ reader: SettingsReader) throws(SettingsError) -> String? {
        guard let path = reader.string(.systemPromptFile) else { return builtInSystemPrompt }
        let bytes = try contents(of: path, .systemPromptFile)
        guard let text = String(validating: bytes, as: UTF8.self) else { throw SettingsError(.systemPromptFile, "\(path) is not UTF-8") }
        let trimmed = String(text.trimmingSuffix { $0.isWhitespace })
        return trimmed.isEmpty ? nil : trimmed
    }

    private static func tools(_ reader: SettingsReader) throws(SettingsError) -> ToolRegistry {
        guard let path = reader.string(.toolsFile) else { return .builtIn }
        do {
            return try ToolRegistry(parsing: ByteBuffer(bytes: contents(of: path, .toolsFile)))
        } catch let error as ToolSchemaError {
            throw SettingsError(.toolsFile, "\(path): \(error)")
        } catch let error as SettingsError {
            throw error
        } catch {
            throw SettingsError(.toolsFile, "\(path): \(error)")
        }
    }

    /// Files that cannot be used are found at the start, and not with the first connection.
    private static func checkTLS(_ configuration: RedisConfiguration) throws(SettingsError) {
        do throws(TLSFileError) { try configuration.tls.check() } catch {
            throw SettingsError(error.isAuthority ? .redisCAFile : .redisCertificateFile, error.description)
        }
    }

    /// The path of a file that can be read.
    static func file(_ reader: SettingsReader, _ setting: Setting) throws(SettingsError) -> String? {
        guard let path = reader.string(setting) else { return nil }
        _ = try contents(of: path, setting)
        return path
    }

    static func contents(of path: String, _ setting: Setting) throws(SettingsError) -> Data {
        do {
            return try Data(contentsOf: URL(filePath: path))
        } catch {
            throw SettingsError(setting, "the file \(path) cannot be read")
        }
    }
}

extension StringProtocol {
    fileprivate func trimmingSuffix(while predicate: (Character) -> Bool) -> SubSequence {
        var end = endIndex
        while end > startIndex, predicate(self[index(before: end)]) { end = index(before: end) }
        return self[startIndex..<end]
    }
}
