public import RedisClient

extension RedisConnectionPool {
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
