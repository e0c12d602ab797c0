import Logging
import NIOCore
import RedisClient

/// A running step whose replica has been silent for longer than its lease, or has released the
/// step.
package struct Orphan: Sendable, Equatable {
    package var session: SessionID
    package var step: Int
    /// Whether the lease would run out too late, since Redis's clock was set back.
    package var isStale = false
}

/// When sweepers read a session whose step may have lost its replica.
struct Hint: Sendable {
    var session: SessionID
    /// Milliseconds since 1970 on Redis's clock.
    var due: Int64
}

extension RedisSessionStore {
    /// Reads the due hints of one bucket, with one command if there are none. Hints of sessions
    /// without a running step are removed, hints of living steps move on.
    ///
    /// - Parameters:
    ///   - bucket: 0 ..< ``RedisKeyspace/bucketCount``.
    ///   - limit: How many hints are read.
    /// - Returns: The steps to take over, and whether another call may find more. It may not if
    ///   this one led to nothing.
    package func orphans(bucket: Int, limit: Int) async throws(StoreError) -> (orphans: [Orphan], hasMore: Bool) {
        let key = keyspace.running(bucket: bucket)
        let now = try await latestTime()
        let hints = try await hints(key, from: "-inf", to: String(now), skip: 0, limit: limit)
        var orphans: [Orphan] = []
        var idle: [Hint] = []
        var hasOwners = false
        // A hint that stays due would be found again and again.
        var hasMoved = false
        for (hint, view) in zip(hints, try await look(hints.map(\.session))) {
            guard let view else {
                logger.warning("a session is damaged", metadata: ["session": "\(hint.session)", "code": "session_damaged"])
                postpone(hint.session, for: Self.damagePause)
                hasMoved = true
                continue
            }
            if view.isOrphaned {
                orphans.append(Orphan(session: hint.session, step: view.step))
            } else if view.isRunning {
                let due = view.leaseUntil + configuration.hintMargin.milliseconds
                setHint(hint.session, due: due)
                hasMoved = hasMoved || due > now
            } else if hint.due <= view.now {
                // A step that rests on this hint can no longer begin: its script refuses once the
                // hint is due.
                idle.append(hint)
                // The replica that ran the step may have been lost before it recorded it, and a
                // user's list must be whole: the user's sessions are erased by it.
                guard !view.subject.isEmpty else { continue }
                activity.note(hint.session, of: view.subject, at: view.updatedAt)
                hasOwners = true
            }
        }
        if hasOwners { await activity.flush() }
        try await forget(idle, in: key)
        return (orphans, hints.count == limit && (hasMoved || !idle.isEmpty || !orphans.isEmpty))
    }

    /// Returns the time of the clock that is ahead of the others: a hint counts by the clock of its
    /// session's server.
    func latestTime() async throws(StoreError) -> Int64 {
        if let time = outage.latestTime { return time }
        return try await now()
    }

    /// Returns the hints in a range of scores, the earliest first.
    func hints(_ key: String, from: String, to: String, skip: Int, limit: Int) async throws(StoreError) -> [Hint] {
        let command = RedisCommand("ZRANGEBYSCORE", key, from, to, "WITHSCORES", "LIMIT", String(skip), String(limit))
        let reply = try await read(command, key: key)
        var hints: [Hint] = []
        for index in stride(from: 0, to: reply.count - 1, by: 2) {
            guard let member = reply[index]?.buffer, let due = reply[index + 1]?.string.flatMap(Double.init) else { continue }
            if let session = SessionID(name: String(buffer: member)) {
                hints.append(Hint(session: session, due: Int64(clampingRounded: due)))
            } else {
                // It does not name a session, and would stand before hints that do.
                var removal = RedisCommand("ZREM", key)
                removal.append(member)
                client.route(for: key).submit(removal) { _ in }
            }
        }
        return hints
    }

    /// How long sweepers leave a damaged session alone: only a person can repair it.
    package static let damagePause = Duration.seconds(60)

    /// Moves the hint of a session whose step could not be taken over, or not be ended, by `pause`
    /// (a lease if nil), so that it does not stand before others.
    package func postpone(_ session: SessionID, for pause: Duration? = nil) {
        guard let now = time(of: keys(session).prefix) else { return }
        setHint(session, due: now + (pause?.milliseconds ?? leaseMilliseconds))
    }

    /// Moves a session's hint to `due`, unless it is later already. The call does not wait for the
    /// reply.
    func setHint(_ session: SessionID, due: Int64) {
        let key = keys(session).running
        var hint = RedisCommand("ZADD", key, "GT")
        hint.append(integer: due)
        hint.append(session.name)
        client.route(for: key).submit(hint) { _ in }
    }

    /// Removes entries from a sorted set that have not moved since: the script `forget_entries`.
    func forget(_ entries: [Hint], in key: String) async throws(StoreError) {
        try await forget(entries.map { ($0.session.name, $0.due) }, in: key)
    }

    func forget(_ entries: [(member: String, score: Int64)], in key: String) async throws(StoreError) {
        guard !entries.isEmpty else { return }
        let call = StoreScripts.forgetEntries.call(entries, on: key, capacity: 64 * entries.count)
        _ = try await attempt(for: configuration.retryPatience) { () throws(RedisError) in
            try await self.client.route(for: key).evaluate(call)
        }
    }
}
