/// What is wrong with a Redis server that sessions are to be kept in.
public struct RedisShortcoming: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Kind: Sendable {
        /// Older than 7.0: without script flags it would run scripts when it has no memory left, and half of one could be written.
        case tooOld
        /// It removes keys when it is full: a session would lose parts.
        case mayEvict
        /// It is no single server, though the URL says so: most sessions would be refused.
        case otherTopology
        /// It does not say what it is.
        case silent
    }

    public var kind: Kind
    public var description: String
}

/// What a Redis server must be, checked against what it says of itself. A value.
enum RedisRequirements {
    static let oldestMajorVersion = 7

    /// - Parameter info: The answers to `INFO server` and `INFO memory`. What they do not say cannot be held against the server.
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

extension RedisClient {
    /// Asks each server that takes writes what it is.
    ///
    /// - Throws: ``RedisError`` when a server cannot be asked; `.notPermitted` when this user may not send `INFO`.
    public func shortcomings() async throws(RedisError) -> [RedisShortcoming] {
        var found: [RedisShortcoming] = []
        for connection in masters() {
            var info: [String] = []
            // Two commands, since servers that are too old take one section only.
            for result in try await connection.send(pipeline: [RedisCommand("INFO", "server"), RedisCommand("INFO", "memory")]) {
                info.append(try result.get().string ?? "")
            }
            var shortcomings = RedisRequirements.shortcomings(info, topology: configuration.topology)
            if RedisInformation(info)["redis_version"] == nil {
                shortcomings.append(RedisShortcoming(kind: .silent, description: "does not say which version it is"))
            }
            for shortcoming in shortcomings where !found.contains(shortcoming) { found.append(shortcoming) }
        }
        return found
    }

    /// How many replicas follow a server that takes writes: the fewest of any. Nil when no server
    /// says so.
    public func connectedReplicas() async throws(RedisError) -> Int? {
        var fewest: Int?
        for connection in masters() {
            let fields = RedisInformation([try await connection.send(RedisCommand("INFO", "replication"))])
            guard fields["role"] == "master", let count = fields["connected_slaves"].flatMap({ Int($0) }) else { continue }
            fewest = min(fewest ?? count, count)
        }
        return fewest
    }

    /// Has each server that takes writes compile the scripts, without running them.
    ///
    /// - Returns: What a server says of a script that it cannot compile.
    public func refusedScripts() async throws(RedisError) -> [(script: String, error: RedisError)] {
        var refused: [(script: String, error: RedisError)] = []
        for connection in masters() {
            let results = try await connection.send(pipeline: StoreScripts.all.map(\.compiling))
            for (script, result) in zip(StoreScripts.all, results) {
                guard case .failure(let error) = result, case .reply = error.code else { continue }
                refused.append((script.name, error))
            }
        }
        return refused
    }
}
