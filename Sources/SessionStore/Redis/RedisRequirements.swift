/// What is wrong with a Redis server that sessions are to be kept in.
public struct RedisShortcoming: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Kind: Sendable {
        /// Older than 7.0: without script flags it would run scripts when it has no memory left, and half of one could be written.
        case tooOld
        /// It removes keys when it is full: a session would lose parts.
        case mayEvict
    }

    public var kind: Kind
    public var description: String
}

/// What a Redis server must be, checked against what it says of itself. A value.
enum RedisRequirements {
    static let oldestMajorVersion = 7

    /// - Parameter info: The answers to `INFO server` and `INFO memory`. What they do not say cannot be held against the server.
    static func shortcomings(_ info: [String]) -> [RedisShortcoming] {
        var fields: [Substring: Substring] = [:]
        for line in info.joined(separator: "\r\n").split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[line[..<colon]] = line[line.index(after: colon)...]
        }
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
            for shortcoming in RedisRequirements.shortcomings(info) where !found.contains(shortcoming) { found.append(shortcoming) }
        }
        return found
    }
}
