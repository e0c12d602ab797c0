import NIOCore
import RedisClient
import Synchronization

extension RedisSessionStore {
    private static let prunePage = 128
    private static let mostPrunePages = 64

    /// Removes expired sessions from a bucket of each tenant's index, and from their owners' lists.
    /// Nothing else would remove those that no client lists. To be called about once a minute; if
    /// sessions do not expire, it does nothing.
    ///
    /// - Parameter bucket: 0 ..< ``RedisKeyspace/bucketCount``.
    package func prune(bucket: Int) async throws(StoreError) {
        let ages = [configuration.sessionTTL, configuration.maximumAge].compactMap { $0?.milliseconds }
        let age = (ages + [shortestAge.load(ordering: .relaxed)]).min() ?? .max
        guard age < .max else { return }
        for tenant in try await tenants() { try await prune(keyspace.index(tenant, bucket: bucket), olderThan: age) }
    }

    /// Returns the tenants that have had sessions, the standard one among them.
    package func tenants() async throws(StoreError) -> [TenantID] {
        let key = keyspace.tenants
        let reply = try await read(RedisCommand("ZRANGEBYSCORE", key, "-inf", "+inf"), key: key)
        return [.standard] + reply.strings(from: 0).compactMap { TenantID($0) }
    }

    private func prune(_ key: String, olderThan age: Int64) async throws(StoreError) {
        let bound = try await latestTime() - age
        var staying = 0
        for _ in 0..<Self.mostPrunePages {
            let old = try await activities(key, from: "-inf", to: String(bound), skip: staying, limit: Self.prunePage)
            var gone: [ListedSession] = []
            for (entry, isGone) in zip(old, try await areGone(old.map(\.session))) where isGone { gone.append(entry) }
            try await forget(gone)
            // A step that runs for longer than the expiry keeps its session.
            staying += old.count - gone.count
            if old.count < Self.prunePage { return }
        }
    }

    /// Returns the entries of a part of the index, the oldest first.
    func activities(
        _ key: String, from: String, to: String, skip: Int, limit: Int
    ) async throws(StoreError) -> [ListedSession] {
        let reply = try await read(
            RedisCommand("ZRANGEBYSCORE", key, from, to, "WITHSCORES", "LIMIT", String(skip), String(limit)), key: key)
        var entries: [ListedSession] = []
        for index in stride(from: 0, to: reply.count - 1, by: 2) {
            guard let name = reply[index]?.buffer, let time = reply[index + 1]?.string.flatMap(Double.init) else { continue }
            if let member = IndexMember(String(buffer: name)) {
                entries.append(ListedSession(member: member, lastActivity: Int64(clampingRounded: time)))
            } else {
                // It names no session, and would stand before entries that do.
                var removal = RedisCommand("ZREM", key)
                removal.append(name)
                client.route(for: key).submit(removal) { _ in }
            }
        }
        return entries
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
