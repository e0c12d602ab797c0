/// Where Redis is and how it is talked to.
public struct RedisConfiguration: Sendable, CustomStringConvertible {
    public enum Address: Sendable, Equatable {
        case tcp(host: String, port: Int)
        case unix(path: String)
    }

    public var address: Address
    public var username: String?
    public var password: String?
    public var database = 0
    public var usesTLS = false
    /// Certificates to trust, PEM; nil for the system's.
    public var caFile: String?
    public var connectTimeout: Duration = .seconds(2)
    /// How long a command may take, the wait for a connection included. A reply that is later closes the connection.
    public var commandTimeout: Duration = .seconds(2)
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

    /// In bytes. The system takes 107, SwiftNIO 103 since other systems take no more.
    static let longestSocketPath = 103

    public init(_ address: Address) {
        self.address = address
    }

    /// Without the password.
    public var description: String {
        let scheme = usesTLS ? "rediss" : "redis"
        switch address {
        case .tcp(let host, let port): return "\(scheme)://\(host.contains(":") ? "[\(host)]" : host):\(port)/\(database)"
        case .unix(let path): return "unix://\(path)" + (database == 0 ? "" : "?db=\(database)")
        }
    }
}
