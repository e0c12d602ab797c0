public import RedisClient

extension RedisConnectionPool {
    /// Asks each server that accepts writes what it is, and returns what is wrong with it.
    ///
    /// - Throws: ``RedisError`` if a server cannot be asked; `.notPermitted` if this user may not
    ///   send `INFO`.
    public func shortcomings() async throws(RedisError) -> [RedisShortcoming] {
        var found: [RedisShortcoming] = []
        for connection in masters() {
            var info: [String] = []
            // Two commands, since servers that are too old accept one section only.
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

    /// Makes each server that accepts writes compile the scripts, without running them.
    ///
    /// - Returns: The scripts that a server cannot compile, and its errors.
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
