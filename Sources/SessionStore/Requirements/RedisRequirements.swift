import RedisClient

/// Why sessions cannot be kept in a Redis server.
public struct RedisShortcoming: Error, Sendable, Equatable, CustomStringConvertible {
    /// The kinds, for programs.
    public enum Kind: Sendable {
        /// Older than 7.0: without script flags it would run scripts when it is out of memory, and
        /// could write half of one.
        case tooOld
        /// It removes keys when it is full: a session would lose parts.
        case mayEvict
        /// It is not a single server, although the URL says so: it would refuse most sessions.
        case otherTopology
        /// It does not say what it is.
        case silent
    }

    /// The kind.
    public var kind: Kind
    public var description: String
}

/// What a Redis server must be, checked against its `INFO`. A value.
enum RedisRequirements {
    static let oldestMajorVersion = 7

    /// Returns what is wrong with a server.
    ///
    /// - Parameter info: The replies to `INFO server` and `INFO memory`. What they leave out does
    ///   not count against the server.
    static func shortcomings(_ info: [String], topology: RedisConfiguration.Topology = .single) -> [RedisShortcoming] {
        let fields = RedisInformation(info)
        var found: [RedisShortcoming] = []
        if let version = fields["redis_version"], let major = version.split(separator: ".").first.flatMap({ Int($0) }),
            major < oldestMajorVersion
        {
            found.append(
                RedisShortcoming(
                    kind: .tooOld, description: "is Redis \(version.prefix(32)); \(oldestMajorVersion).0 or later is needed"))
        }
        if let policy = fields["maxmemory_policy"], policy != "noeviction", let limit = fields["maxmemory"].flatMap({ Int($0) }), limit > 0
        {
            found.append(
                RedisShortcoming(
                    kind: .mayEvict,
                    description: "may evict parts of sessions: its maxmemory-policy is \(policy.prefix(32)), and must be noeviction"))
        }
        switch (topology, fields["redis_mode"]) {
        case (.single, "cluster"):
            found.append(
                RedisShortcoming(kind: .otherTopology, description: "is a node of a Cluster: write redis-cluster://host:port"))
        case (.single, "sentinel"):
            found.append(RedisShortcoming(kind: .otherTopology, description: "is a Sentinel: write redis-sentinel://host:port/NAME"))
        default:
            break
        }
        return found
    }
}
