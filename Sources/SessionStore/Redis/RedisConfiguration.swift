/// Where Redis is and how it is talked to.
public struct RedisConfiguration: Sendable, CustomStringConvertible {
    public enum Address: Sendable, Hashable, CustomStringConvertible {
        case tcp(host: String, port: Int)
        case unix(path: String)

        public var description: String {
            switch self {
            case .tcp(let host, let port): "\(host.contains(":") ? "[\(host)]" : host):\(port)"
            case .unix(let path): path
            }
        }
    }

    /// How the server that a command is for is found.
    public enum Topology: Sendable, Equatable {
        /// It is at ``RedisConfiguration/address``.
        case single
        /// Sentinels know where the master is.
        case sentinel(SentinelGroup)
        /// A Cluster's nodes know which of them has a key; these are asked first.
        case cluster(seeds: [Address])
    }

    /// The server's; that of the first sentinel or seed where servers are yet to be found.
    public var address: Address
    public var topology = Topology.single
    public var username: String?
    public var password: String?
    public var database = 0
    public var usesTLS = false
    /// What TLS trusts and shows.
    public var tls = TLSFiles()
    /// Certificates to trust, PEM; nil for the system's.
    public var caFile: String? {
        get { tls.caFile }
        set { tls.caFile = newValue }
    }
    /// Shared by all copies, as those of a client's connections are.
    let sharedTLS = RedisTLS()
    public var connectTimeout: Duration = .seconds(2)
    /// How long a command may take, the wait for a connection included. A reply that is later closes the connection.
    public var commandTimeout: Duration = .seconds(2)
    /// Whether a reply may take longer, as long as nothing is silent for ``commandTimeout``: for connections that carry large replies. There is a
    /// bound, ``mostSilences`` times as much for one reply.
    var timesSilence = false
    static let mostSilences = 30
    /// Commands under way on one connection.
    public var maxInFlight = 65_536
    /// Bytes of commands under way on one connection.
    public var maxInFlightBytes = 256 << 20
    public var maxReplyBytes = 512 << 20
    /// Values in one reply.
    public var maxReplyNodes = 16 << 20
    /// Pauses between attempts to connect grow from the first to the second, with full jitter.
    public var reconnectBase: Duration = .milliseconds(50)
    public var reconnectLimit: Duration = .seconds(1)

    /// Where connections say that writes are refused: one for all of a client's.
    var refusals: WriteRefusals?

    /// In bytes. The system takes 107, SwiftNIO 103 since other systems take no more.
    static let longestSocketPath = 103

    public init(_ address: Address) {
        self.address = address
    }

    /// The same, for one server of the topology.
    func server(at address: Address) -> RedisConfiguration {
        var configuration = self
        configuration.address = address
        configuration.topology = .single
        return configuration
    }

    public var hasPassword: Bool {
        if case .sentinel(let group) = topology, group.password != nil { return true }
        return password != nil
    }

    /// The hosts that are connected to as far as the settings name them; none for a unix socket.
    public var hosts: [String] {
        let addresses =
            switch topology {
            case .single: [address]
            case .sentinel(let group): group.sentinels
            case .cluster(let seeds): seeds
            }
        return addresses.compactMap { if case .tcp(let host, _) = $0 { host } else { nil } }
    }

    /// Without the password.
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
