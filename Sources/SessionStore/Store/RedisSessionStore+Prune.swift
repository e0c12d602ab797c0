import RedisClient

extension RedisSessionStore {
    private static let prunePage = 128
    private static let mostPrunePages = 64

    /// Removes expired sessions from a bucket of the index. Nothing else would remove those that no
    /// client lists. To be called about once a minute; if sessions do not expire, it does nothing.
    ///
    /// - Parameter bucket: 0 ..< ``RedisKeyspace/bucketCount``.
    package func prune(bucket: Int) async throws(StoreError) {
        guard configuration.sessionTTL != nil else { return }
        let key = keyspace.index(bucket: bucket)
        let bound = try await latestTime() - ttlMilliseconds
        var staying = 0
        for _ in 0..<Self.mostPrunePages {
            let old = try await hints(key, from: "-inf", to: String(bound), skip: staying, limit: Self.prunePage)
            var gone: [Hint] = []
            for (entry, isGone) in zip(old, try await areGone(old.map(\.session))) where isGone { gone.append(entry) }
            try await forget(gone, in: key)
            // A step that runs for longer than the expiry keeps its session.
            staying += old.count - gone.count
            if old.count < Self.prunePage { return }
        }
    }

    private func areGone(_ sessions: [SessionID]) async throws(StoreError) -> [Bool] {
        let requests = sessions.map { session in
            let keys = keys(session)
            return (keys.state, [RedisCommand("HMGET", keys.state, "fence"), RedisCommand("LLEN", keys.history)])
        }
        var areGone: [Bool] = []
        for result in await sendEach(requests) {
            do throws(StoreError) {
                let replies = try result.get()
                areGone.append(replies.count == 2 && replies[0][0]?.isNull == true && replies[1].intValue == 0)
            } catch {
                // A damaged session exists.
                guard error.code == .damaged else { throw error }
                areGone.append(false)
            }
        }
        return areGone
    }
}
