public import TransportSecurity

/// The address of Redis, and the bounds and times of connections to it.
public struct RedisConfiguration: Sendable, CustomStringConvertible {
    /// The address of one server.
    public enum Address: Sendable, Hashable, CustomStringConvertible {
        /// A host name or IP address, and a port.
        case tcp(host: String, port: Int)
        /// The absolute path of a unix socket.
        case unix(path: String)

        public var description: String {
            switch self {
            case .tcp(let host, let port): "\(host.contains(":") ? "[\(host)]" : host):\(port)"
            case .unix(let path): path
            }
        }
    }

    /// The way to find the server for a command.
    public enum Topology: Sendable, Equatable {
        /// One server, at ``RedisConfiguration/address``.
        case single
        /// The sentinels of a group know the address of the master.
        case sentinel(SentinelGroup)
        /// The nodes of a Cluster know which node has a key. The pool asks these nodes first.
        case cluster(seeds: [Address])
    }

    /// The address of the server. For the other topologies, the address of the first sentinel or
    /// seed.
    public var address: Address
    /// How the pool finds the server for a command.
    public var topology = Topology.single
    /// The user for `AUTH`; nil for the user `default`.
    public var username: String?
    /// The password for `AUTH`; nil to send no `AUTH`. Never logged.
    public var password: String?
    /// The database for `SELECT`. A Cluster has only database 0.
    public var database = 0
    /// The name of the connections in `CLIENT LIST`; nil to give them none.
    public var clientName: String?
    /// Whether connections use TLS.
    public var usesTLS = false
    /// The certificates for TLS.
    public var tls = TLSFiles()
    /// The file of trusted certificates, in PEM; nil for the system's.
    public var caFile: String? {
        get { tls.caFile }
        set { tls.caFile = newValue }
    }
    /// All copies share it, as the connections of a pool do.
    let sharedTLS = RedisTLS()
    /// How long an attempt to connect may take, including TLS and the handshake.
    public var connectTimeout: Duration = .seconds(2)
    /// How long a command may take, including the wait for a connection. A reply that is later
    /// closes the connection.
    public var commandTimeout: Duration = .seconds(2)
    /// Whether a reply may take longer than ``commandTimeout`` as long as no silence is that long.
    /// For connections that carry large replies. One reply may take at most ``mostSilences`` times
    /// ``commandTimeout``.
    var timesSilence = false
    static let mostSilences = 30
    /// The number of commands that may be in flight on one connection.
    public var maxInFlight = 65_536
    /// The number of bytes of commands that may be in flight on one connection.
    public var maxInFlightBytes = 256 << 20
    /// The number of bytes that one reply may have.
    public var maxReplyBytes = 512 << 20
    /// The number of values that one reply may have.
    public var maxReplyNodes = 16 << 20
    /// The pause before the second attempt to connect. It doubles with each attempt, up to
    /// ``reconnectLimit``, with full jitter.
    public var reconnectBase: Duration = .milliseconds(50)
    /// The longest pause between two attempts to connect.
    public var reconnectLimit: Duration = .seconds(1)

    /// The log of refused writes, which all connections of a pool share.
    var refusals: WriteRefusals?

    /// In bytes. The system allows 107; SwiftNIO allows 103, as the strictest of its platforms
    /// does.
    static let longestSocketPath = 103

    /// - Parameter address: The address of a single server.
    public init(_ address: Address) {
        self.address = address
    }

    /// Returns the configuration for one server of the topology.
    func server(at address: Address) -> RedisConfiguration {
        var configuration = self
        configuration.address = address
        configuration.topology = .single
        return configuration
    }

    /// Whether a password is set, for Redis or for the sentinels.
    package var hasPassword: Bool {
        if case .sentinel(let group) = topology, group.password != nil { return true }
        return password != nil
    }

    /// The hosts of the servers, sentinels or seeds; empty for a unix socket.
    package var hosts: [String] {
        let addresses =
            switch topology {
            case .single: [address]
            case .sentinel(let group): group.sentinels
            case .cluster(let seeds): seeds
            }
        return addresses.compactMap { if case .tcp(let host, _) = $0 { host } else { nil } }
    }

    /// The URL without user and password.
    public var description: String {
        let scheme = usesTLS ? "rediss" : "redis"
        switch (topology, address) {
        case (.single, .tcp): return "\(scheme)://\(address)/\(database)"
        case (.single, .unix(let path)): return "unix://\(path)" + (database == 0 ? "" : "?db=\(database)")
        case (.sentinel(let group), _): return "\(scheme)-sentinel://\(group)/\(database)"
        case (.cluster(let seeds), _): return "\(scheme)-cluster://\(seeds.map(\.description).joined(separator: ","))"
        }
    }
}
