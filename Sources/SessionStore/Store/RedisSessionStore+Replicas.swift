import RedisClient

extension RedisSessionStore {
    /// How long a replica without a sign of life stays in `agent:replicas`.
    var replicaPatience: Duration { configuration.lease * 3 }

    private var ownEntry: ReplicaEntry {
        ReplicaEntry(
            name: configuration.replica, version: configuration.version, layout: RedisLayout.known, instance: configuration.instance)
    }

    /// Records that this replica lives, and removes replicas that have been silent for too long.
    func announce() async throws(StoreError) {
        let key = keyspace.replicas
        let now = try await time(key)
        var entry = RedisCommand("ZADD", key)
        entry.append(integer: now)
        entry.append(ownEntry.text)
        let silent = RedisCommand("ZRANGEBYSCORE", key, "-inf", "\(now - replicaPatience.milliseconds)", "WITHSCORES", "LIMIT", "0", "64")
        guard let gone = try await read([entry, silent], key: key).last, gone.count > 0 else { return }
        // Each is removed only if it is still silent: after an outage of Redis all report at once.
        var entries: [(member: String, score: Int64)] = []
        for index in stride(from: 0, to: gone.count - 1, by: 2) {
            guard let member = gone[index]?.string, let score = gone[index + 1]?.string.flatMap(Double.init) else { continue }
            entries.append((member, Int64(clampingRounded: score)))
        }
        try await forget(entries, in: key)
    }

    /// Removes this replica from the list. It does not wait for the reply: nothing depends on its
    /// success.
    func leave() {
        client.route(for: keyspace.replicas).submit(RedisCommand("ZREM", keyspace.replicas, ownEntry.text)) { _ in }
    }

    /// Returns the replicas that have shown a sign of life lately, each with the time since, in
    /// milliseconds.
    package func replicas() async throws(StoreError) -> [(entry: ReplicaEntry, silence: Int64)] {
        let key = keyspace.replicas
        let now = try await time(key)
        let reply = try await read(
            RedisCommand("ZRANGEBYSCORE", key, "\(now - replicaPatience.milliseconds)", "+inf", "WITHSCORES"), key: key)
        var found: [(entry: ReplicaEntry, silence: Int64)] = []
        for index in stride(from: 0, to: reply.count - 1, by: 2) {
            guard let entry = reply[index]?.string.flatMap({ ReplicaEntry($0) }), let score = reply[index + 1]?.string.flatMap(Double.init)
            else { continue }
            found.append((entry, now - min(max(0, Int64(clampingRounded: score)), now)))
        }
        return found
    }

    /// Returns the time, in milliseconds, of the server that has `key`.
    func time(_ key: String) async throws(StoreError) -> Int64 {
        let reply = try await read(RedisCommand("TIME"), key: key)
        guard let time = reply.time else { throw .unexpected(reply) }
        return time
    }
}
