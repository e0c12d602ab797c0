public import RedisClient

extension RedisConnectionPool {
    /// Connections that builds without a layout have to the servers that take writes.
    ///
    /// - Returns: Nil when this user may not list them.
    /// - Throws: ``RedisError`` when a server cannot be asked.
    public func connectionsOfEarlierBuilds() async throws(RedisError) -> Int? {
        var count = 0
        for connection in masters() {
            do throws(RedisError) {
                let list = try await connection.send(RedisCommand("CLIENT", "LIST")).string ?? ""
                count += list.split(whereSeparator: \.isNewline).count { $0.contains(" name=agent-runtime ") }
            } catch {
                guard error.code == .notPermitted else { throw error }
                return nil
            }
        }
        return count
    }
}
