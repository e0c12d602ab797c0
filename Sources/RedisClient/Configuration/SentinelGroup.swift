/// The sentinels that watch one master, and the name that they know it by.
public struct SentinelGroup: Sendable, Equatable, CustomStringConvertible {
    /// The master's name, as `SENTINEL GET-MASTER-ADDR-BY-NAME` takes it.
    public var masterName: String
    /// The addresses of the sentinels, at least one. The pool asks them in turn.
    public var sentinels: [RedisConfiguration.Address]
    /// The user for `AUTH` at the sentinels; the servers have their own. Nil for the user
    /// `default`.
    public var username: String?
    /// The password for `AUTH` at the sentinels; nil to send no `AUTH`. Never logged.
    public var password: String?
    /// How long one sentinel may take, including the connection, before the next one is asked.
    public var patience: Duration = .milliseconds(500)

    /// - Parameters:
    ///   - masterName: The master's name.
    ///   - sentinels: The addresses of the sentinels, at least one.
    public init(masterName: String, sentinels: [RedisConfiguration.Address]) {
        self.masterName = masterName
        self.sentinels = sentinels
    }

    /// Addresses and master's name, without the password.
    public var description: String { "\(sentinels.map(\.description).joined(separator: ","))/\(masterName)" }

    /// Returns the configuration for a connection to `sentinel`: with the group's password, and
    /// with TLS if the servers use TLS.
    func configuration(of servers: RedisConfiguration, sentinel: RedisConfiguration.Address) -> RedisConfiguration {
        var configuration = servers.server(at: sentinel)
        configuration.username = username
        configuration.password = password
        configuration.database = 0
        configuration.connectTimeout = patience
        configuration.commandTimeout = patience
        return configuration
    }
}
