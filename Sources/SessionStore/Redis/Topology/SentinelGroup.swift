/// The sentinels that watch over one master, and what they call it.
public struct SentinelGroup: Sendable, Equatable, CustomStringConvertible {
    public var masterName: String
    /// At least one; asked in turn.
    public var sentinels: [RedisConfiguration.Address]
    /// The sentinels' own, not the servers'.
    public var username: String?
    public var password: String?
    /// How long one sentinel may take, its connection included, before the next one is asked.
    public var patience: Duration = .milliseconds(500)

    public init(masterName: String, sentinels: [RedisConfiguration.Address]) {
        self.masterName = masterName
        self.sentinels = sentinels
    }

    /// Without the password.
    public var description: String { "\(sentinels.map(\.description).joined(separator: ","))/\(masterName)" }

    /// How a sentinel is talked to, whose servers are talked to as `configuration` says: with TLS where they have it.
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
