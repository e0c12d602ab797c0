package import RedisClient

extension RedisConnectionPool {
    /// Returns how many connections builds without a layout have to the servers that accept writes.
    ///
    /// - Returns: Nil if this user may not list them.
    /// - Throws: ``RedisError`` if a server cannot be asked.
    package func connectionsOfEarlierBuilds() async throws(RedisError) -> Int? {
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
