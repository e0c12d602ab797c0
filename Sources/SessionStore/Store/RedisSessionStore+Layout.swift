import Logging
import RedisClient

extension RedisSessionStore {
    /// Returns the layout that the deployment's replicas may write; nil if none is set.
    package func deploymentLayout() async throws(StoreError) -> Int? {
        try await read(RedisCommand("HGET", keyspace.meta, "layout"), key: keyspace.meta).intValue
    }

    /// Reads the deployment's layout, and sets it if there is none: a Redis without sessions begins
    /// with the highest layout that this build knows, any other with the first.
    ///
    /// - Parameter owns: Whether Redis is this server's own, so that no other build uses it. Its
    ///   layout is raised then.
    /// - Returns: The layout. It may be one that this build cannot read.
    @discardableResult
    package func establishLayout(owns: Bool = false) async throws(StoreError) -> Int {
        var found = try await deploymentLayout()
        if found == nil {
            let first = try await isUnused() ? RedisLayout.known : RedisLayout.first
            // If several replicas start at once, one of them sets it.
            _ = try await read(RedisCommand("HSETNX", keyspace.meta, "layout", "\(first)"), key: keyspace.meta)
            found = try await deploymentLayout()
        }
        var current = found ?? RedisLayout.first
        if owns, current < RedisLayout.known {
            try await setLayout(RedisLayout.known)
            current = RedisLayout.known
        }
        layout.set(current)
        return current
    }

    /// Makes all replicas write a layout from now on. The caller knows that all of them can read
    /// it.
    package func setLayout(_ number: Int) async throws(StoreError) {
        let key = keyspace.meta
        let now = try await time(key)
        _ = try await read(
            RedisCommand("HSET", key, "layout", "\(number)", "written_by", configuration.replica, "at", "\(now)"), key: key)
    }

    /// Returns whether no session ever began here: neither the index nor the hints have an entry.
    private func isUnused() async throws(StoreError) -> Bool {
        let sets = (0..<RedisKeyspace.bucketCount).flatMap { [keyspace.index(bucket: $0), keyspace.running(bucket: $0)] }
        for result in await sendEach(sets.map { ($0, [RedisCommand("ZRANGEBYSCORE", $0, "-inf", "+inf", "LIMIT", "0", "1")]) }) {
            if let entries = try result.get().first, entries.count > 0 { return false }
        }
        return true
    }
}
