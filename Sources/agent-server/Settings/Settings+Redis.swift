import RedisClient
import TransportSecurity

extension Settings {
    static func redis(_ reader: SettingsReader) throws(SettingsError) -> RedisConfiguration? {
        guard var configuration = try reader.value(Setting.redisURL) else { return nil }
        configuration.commandTimeout = try reader.value(Setting.redisTimeout)
        configuration.maxInFlight = try reader.value(Setting.redisMaxInFlight)
        configuration.tls.caFile = try reader.value(Setting.redisCAFile)
        configuration.tls.certificateFile = try reader.value(Setting.redisCertificateFile)
        configuration.tls.keyFile = try reader.value(Setting.redisKeyFile)
        guard (configuration.tls.certificateFile == nil) == (configuration.tls.keyFile == nil) else {
            throw SettingsError(Setting.redisCertificateFile, "and \(Setting.redisKeyFile.name) need each other")
        }
        if configuration.usesTLS { try checkTLS(configuration) }
        try sentinelCredentials(reader, &configuration)
        return configuration
    }

    /// Sets the sentinels' user and password. The settings override the URL.
    private static func sentinelCredentials(
        _ reader: SettingsReader, _ configuration: inout RedisConfiguration
    ) throws(SettingsError) {
        guard case .sentinel(var group) = configuration.topology else { return }
        if let password = try reader.value(Setting.sentinelPassword) { group.password = password }
        if let username = try reader.value(Setting.sentinelUsername) { group.username = username }
        guard group.username == nil || group.password != nil else {
            throw SettingsError(Setting.sentinelUsername, "needs a password beside it")
        }
        configuration.topology = .sentinel(group)
    }

    /// Finds files that cannot be used at the start, and not with the first connection.
    private static func checkTLS(_ configuration: RedisConfiguration) throws(SettingsError) {
        do throws(TLSFileError) { try configuration.tls.check() } catch {
            let setting = error.isAuthority ? Setting.redisCAFile : Setting.redisCertificateFile
            throw SettingsError(setting, error.description)
        }
    }
}
