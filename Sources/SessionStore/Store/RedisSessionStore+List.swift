import Logging
import RedisClient

/// One line of the list of sessions.
public struct SessionSummary: Sendable {
    /// The session.
    public var session: SessionID
    /// Milliseconds since 1970.
    public var lastActivity: Int64
    /// What the session waits for.
    public var status: SessionState.Status
    /// The latest step; 0 before the first.
    public var step: Int
    /// The number of messages in the history.
    public var historyLength: Int
}

/// A page of the list, newest activity first.
public struct SessionPage: Sendable {
    /// The sessions of the page.
    public var sessions: [SessionSummary]
    /// Where the next page begins; nil after the last one.
    public var next: SessionCursor?
}

/// A position in the list of sessions: after this session at this time. On the wire
/// `MILLISECONDS-ID`.
public struct SessionCursor: Sendable, Equatable, CustomStringConvertible {
    /// Milliseconds since 1970.
    public var lastActivity: Int64
    /// The session.
    public var session: SessionID

    /// - Parameters:
    ///   - lastActivity: Milliseconds since 1970.
    ///   - session: The session.
    public init(lastActivity: Int64, session: SessionID) {
        self.lastActivity = lastActivity
        self.session = session
    }

    /// Reads `MILLISECONDS-ID`; nil for anything else.
    public init?(_ text: String) {
        guard let dash = text.firstIndex(of: "-"), let time = Int64(text[..<dash]), time >= 0,
            let session = SessionID(text[text.index(after: dash)...])
        else { return nil }
        self.init(lastActivity: time, session: session)
    }

    public var description: String { "\(lastActivity)-\(session)" }

    /// Returns whether `other` comes after this in the list. The order is that of ZREVRANGEBYSCORE,
    /// so that each bucket's first entries are the list's first.
    func precedes(_ other: SessionCursor) -> Bool {
        lastActivity != other.lastActivity ? lastActivity > other.lastActivity : session.text > other.session.text
    }
}

extension RedisSessionStore {
    /// Returns sessions by last activity, newest first. It reads more than `limit` entries from
    /// each of the index's buckets and merges them.
    public func list(after cursor: SessionCursor?, limit: Int) async throws(StoreError) -> SessionPage {
        await activity.flush()
        // Some more than the limit, for sessions that share the cursor's millisecond and precede
        // it.
        var window = limit + 65
        var found = try await entries(after: cursor, limit: limit, window: window)
        while found == nil {
            window *= 4
            found = try await entries(after: cursor, limit: limit, window: window)
        }
        return try await page(of: found ?? [], limit: limit)
    }

    /// Returns the entries after `cursor` in the list; nil if a bucket's first `window` entries are
    /// too few to know `limit` of them, since too many sessions share the cursor's millisecond.
    private func entries(after cursor: SessionCursor?, limit: Int, window: Int) async throws(StoreError) -> [SessionCursor]? {
        var found: [SessionCursor] = []
        let replies = await sendEach(
            (0..<RedisKeyspace.bucketCount).map { bucket in
                let key = keyspace.index(bucket: bucket)
                let command = RedisCommand(
                    "ZREVRANGEBYSCORE", key, cursor.map { String($0.lastActivity) } ?? "+inf", "-inf", "WITHSCORES", "LIMIT", "0",
                    String(window)
                )
                return (key, [command])
            }, over: .bulk)
        for reply in replies {
            guard let bucket = try reply.get().first else { continue }
            let before = found.count
            for index in stride(from: 0, to: bucket.count - 1, by: 2) {
                guard let session = bucket[index]?.string.flatMap({ SessionID(name: $0) }), let score = bucket[index + 1]?.string,
                    let time = Double(score)
                else { continue }
                let entry = SessionCursor(lastActivity: Int64(clampingRounded: time), session: session)
                if cursor?.precedes(entry) ?? true { found.append(entry) }
            }
            if bucket.count / 2 == window, found.count - before <= limit { return nil }
        }
        found.sort { $0.precedes($1) }
        return found
    }

    private func page(of found: [SessionCursor], limit: Int) async throws(StoreError) -> SessionPage {
        let page = found.prefix(limit)
        let details = await sendEach(
            page.map { cursor in
                let keys = keys(cursor.session)
                return (keys.state, [RedisCommand("HMGET", keys.state, "status", "fence"), RedisCommand("LLEN", keys.history)])
            }, over: .bulk)
        var sessions: [SessionSummary] = []
        var gone: [SessionCursor] = []
        for (cursor, result) in zip(page, details) {
            let replies: [RedisReply]
            do throws(StoreError) {
                replies = try result.get()
            } catch {
                guard error.code == .damaged else { throw error }
                // One session that cannot be shown does not hide the others.
                logger.warning(
                    "a session is damaged",
                    metadata: ["session": "\(cursor.session)", "error": "\(error)", "code": "session_damaged"])
                continue
            }
            guard replies.count == 2, let length = replies[1].intValue, length > 0 || replies[0][1]?.isNull == false else {
                gone.append(cursor)
                continue
            }
            sessions.append(
                SessionSummary(
                    session: cursor.session,
                    lastActivity: cursor.lastActivity,
                    status: replies[0][0]?.string.flatMap(SessionState.Status.init(rawValue:)) ?? .idle,
                    // One session that cannot be shown in full does not hide the others.
                    step: replies[0][1]?.intValue ?? 0,
                    historyLength: length
                ))
        }
        try await forget(gone)
        return SessionPage(sessions: sessions, next: found.count > limit ? page.last : nil)
    }

    /// Removes deleted sessions from the index, unless they have begun again meanwhile.
    private func forget(_ cursors: [SessionCursor]) async throws(StoreError) {
        for (key, cursors) in Dictionary(grouping: cursors, by: { keys($0.session).index }) {
            try await forget(cursors.map { Hint(session: $0.session, due: $0.lastActivity) }, in: key)
        }
    }

    /// Sends each key's commands to the server that has the key, all at once.
    ///
    /// - Returns: The replies in the order of `requests`.
    func sendEach(
        _ requests: [(key: String, commands: [RedisCommand])], over lane: RedisLane = .usual
    ) async -> [Result<[RedisReply], StoreError>] {
        await withTaskGroup(of: (Int, Result<[RedisReply], StoreError>).self) { group in
            for (index, request) in requests.enumerated() {
                group.addTask { (index, await self.pipeline(request.commands, key: request.key, over: lane)) }
            }
            var results = [Result<[RedisReply], StoreError>](repeating: .success([]), count: requests.count)
            for await (index, result) in group { results[index] = result }
            return results
        }
    }

    private func pipeline(_ commands: [RedisCommand], key: String, over lane: RedisLane) async -> Result<[RedisReply], StoreError> {
        do throws(StoreError) {
            return .success(try await read(commands, key: key, over: lane))
        } catch {
            return .failure(error)
        }
    }

    /// Returns the session's epoch; empty if it has none. A state of another type has none: the
    /// session can then only be removed.
    private func epoch(of session: SessionID) async throws(StoreError) -> String {
        let key = keys(session).state
        do throws(StoreError) {
            return try await read(RedisCommand("HGET", key, "epoch"), key: key).string ?? ""
        } catch {
            guard error.code == .damaged else { throw error }
            return ""
        }
    }

    /// Removes a session with all its keys: the script `delete_session`. A session that begins
    /// under the same name after this call has read the epoch is another session; it stays, however
    /// often the script is sent.
    ///
    /// - Returns: Whether the session existed.
    public func delete(_ session: SessionID) async throws(StoreError) -> Bool {
        let keys = keys(session)
        let epoch = try await epoch(of: session)
        let call = StoreScripts.deleteSession.call(DeleteSessionCall(store: self, keys: keys, epoch: epoch), on: keys)
        var attempts = 0
        let reply = try await attempt(for: configuration.retryPatience) { () throws(RedisError) in
            attempts += 1
            return try await self.client.route(for: keys.prefix).evaluate(call)
        }
        if reply[0]?.string == "newer" { throw .newerLayout(reply[2]?.intValue ?? 0) }
        activity.forget(session)
        // A session that has begun again since then stays in the index.
        if let now = reply[1]?.integer { try await forget([SessionCursor(lastActivity: now, session: session)]) }
        // A repeated call follows a lost reply: that reply may have said that the session existed.
        return reply[0]?.integer == 1 || attempts > 1
    }
}

extension Int64 {
    /// Rounds to the nearest integer; numbers out of range become the nearest bound.
    init(clampingRounded value: Double) {
        self = Int64(exactly: value.rounded()) ?? (value > 0 ? .max : .min)
    }
}
