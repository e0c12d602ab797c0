extension RedisConnectionPool {
    /// Asks each server that takes writes how many replicas are connected to it.
    ///
    /// - Returns: The smallest number; nil if no server reports a number.
    /// - Throws: ``RedisError`` when a server cannot be asked.
    public func connectedReplicas() async throws(RedisError) -> Int? {
        var fewest: Int?
        for connection in masters() {
            let fields = RedisInformation([try await connection.send(RedisCommand("INFO", "replication"))])
            guard fields["role"] == "master", let count = fields["connected_slaves"].flatMap({ Int($0) }) else { continue }
            fewest = min(fewest ?? count, count)
        }
        return fewest
    }
}
