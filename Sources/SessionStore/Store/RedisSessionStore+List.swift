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
    ///
    /// - Parameter tenant: Whose list it is. The text does not name it.
    public init?(_ text: String, tenant: TenantID) {
        guard let dash = text.firstIndex(of: "-"), let time = Int64(text[..<dash]), time >= 0,
            let session = SessionID(text[text.index(after: dash)...], tenant: tenant)
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

/// An entry of the list, as the index has it.
struct ListedSession: Sendable, Equatable {
    var member: IndexMember
    /// Milliseconds since 1970 on Redis's clock.
    var lastActivity: Int64

    var session: SessionID { member.session }
    var cursor: SessionCursor { SessionCursor(lastActivity: lastActivity, session: session) }
}

extension RedisSessionStore {
    /// Returns sessions of a tenant by last activity, newest first: all of them, or a user's own. It
    /// reads more than `limit` entries from each of the index's buckets and merges them.
    public func list(
        _ tenant: TenantID, after cursor: SessionCursor?, limit: Int, as requester: Requester
    ) async throws(StoreError) -> SessionPage {
        await activity.flush()
        // Some more than the limit, for sessions that share the cursor's millisecond and precede
        // it.
        var window = limit + 65
        var found = try await entries(tenant, after: cursor, limit: limit, window: window, as: requester)
        while found == nil {
            window *= 4
            found = try await entries(tenant, after: cursor, limit: limit, window: window, as: requester)
        }
        return try await page(of: found ?? [], limit: limit)
    }

    /// Returns the entries after `cursor` in the list; nil if a bucket's first `window` entries are
    /// too few to know `limit` of them, since too many sessions share the cursor's millisecond.
    private func entries(
        _ tenant: TenantID, after cursor: SessionCursor?, limit: Int, window: Int, as requester: Requester
    ) async throws(StoreError) -> [ListedSession]? {
        var found: [ListedSession] = []
        let sets =
            switch requester {
            case .tenant: (0..<RedisKeyspace.bucketCount).map { keyspace.index(tenant, bucket: $0) }
            case .subject(let subject): [keyspace.sessions(of: subject.text, in: tenant)]
            }
        let replies = await sendEach(
            sets.map { key in
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
                guard var member = bucket[index]?.string.flatMap({ IndexMember($0) }), member.session.tenant == tenant,
                    let time = bucket[index + 1]?.string.flatMap(Double.init)
                else { continue }
                // A user's list does not repeat the user.
                if requester != .tenant { member = IndexMember(member.session, subject: requester.owner) }
                let entry = ListedSession(member: member, lastActivity: Int64(clampingRounded: time))
                if cursor?.precedes(entry.cursor) ?? true { found.append(entry) }
            }
            if bucket.count / 2 == window, found.count - before <= limit { return nil }
        }
        found.sort { $0.cursor.precedes($1.cursor) }
        return found
    }

    private func page(of found: [ListedSession], limit: Int) async throws(StoreError) -> SessionPage {
        let page = found.prefix(limit)
        let details = await sendEach(
            page.map { entry in
                let keys = keys(entry.session)
                return (
                    keys.state, [RedisCommand("HMGET", keys.state, "status", "fence", "subject"), RedisCommand("LLEN", keys.history)]
                )
            }, over: .bulk)
        var sessions: [SessionSummary] = []
        var gone: [ListedSession] = []
        for (entry, result) in zip(page, details) {
            let replies: [RedisReply]
            do throws(StoreError) {
                replies = try result.get()
            } catch {
                guard error.code == .damaged else { throw error }
                // One session that cannot be shown does not hide the others.
                logger.warning(
                    "a session is damaged",
                    metadata: ["session": "\(entry.session)", "error": "\(error)", "code": "session_damaged"])
                continue
            }
            guard replies.count == 2, let length = replies[1].intValue, length > 0 || replies[0][1]?.isNull == false,
                // Another session may have the name by now.
                IndexMember(entry.session, subject: replies[0][2]?.string ?? "") == entry.member
            else {
                gone.append(entry)
                continue
            }
            sessions.append(
                SessionSummary(
                    session: entry.session,
                    lastActivity: entry.lastActivity,
                    status: replies[0][0]?.string.flatMap(SessionState.Status.init(rawValue:)) ?? .idle,
                    // One session that cannot be shown in full does not hide the others.
                    step: replies[0][1]?.intValue ?? 0,
                    historyLength: length
                ))
        }
        try await forget(gone)
        return SessionPage(sessions: sessions, next: found.count > limit ? page.last?.cursor : nil)
    }

    /// Removes deleted sessions from the index and from their owners' lists, unless they have begun again meanwhile.
    func forget(_ sessions: [ListedSession]) async throws(StoreError) {
        var sets: [String: [ScoredMember]] = [:]
        for session in sessions {
            for place in keyspace.places(of: session.member) {
                sets[place.key, default: []].append((place.member, session.lastActivity))
            }
        }
        for (key, members) in sets { try await forget(members, in: key) }
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
}

extension Int64 {
    /// Rounds to the nearest integer; numbers out of range become the nearest bound.
    init(clampingRounded value: Double) {
        self = Int64(exactly: value.rounded()) ?? (value > 0 ? .max : .min)
    }
}
