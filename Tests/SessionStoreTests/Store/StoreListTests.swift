import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// The list begins with the newest activity, and is read in pages.
@Suite("The list of sessions", .tags(.redis), .serialized)
struct StoreListTests {
    let redis: RedisServer
    let store: RedisSessionStore
    let connection: RedisConnection

    init() async throws {
        redis = try await .start()
        store = try await redis.store(lease: .seconds(60))
        connection = store.client.connection(for: "")
    }

    /// Adds sessions to Redis, with these times of their last activity.
    private func add(_ sessions: [SessionCursor]) async throws {
        let commands = sessions.flatMap { place in
            let keys = RedisKeys(place.session)
            return [
                RedisCommand("ZADD", keys.index, String(place.lastActivity), place.session.text),
                RedisCommand("RPUSH", keys.history, "{}", "{}"), RedisCommand("HSET", keys.state, "status", "waiting", "fence", "3"),
            ]
        }
        for result in try await connection.send(pipeline: commands) { _ = try result.get() }
    }

    @Test("A damaged session does not hide others")
    func aDamagedSessionDoesNotHideOthers() async throws {
        let (well, damaged) = (SessionID.unique(), SessionID.unique())
        try await add([SessionCursor(lastActivity: 2, session: damaged), SessionCursor(lastActivity: 1, session: well)])
        try redis.cli("SET", RedisKeys(damaged).history, "x")
        #expect(try await store.list(after: nil, limit: 10).sessions.map(\.session) == [well])
    }

    /// Returns all pages, one after another.
    private func pages(limit: Int) async throws -> [[SessionSummary]] {
        var pages: [[SessionSummary]] = []
        var cursor: SessionCursor?
        repeat {
            let page = try await store.list(after: cursor, limit: limit)
            pages.append(page.sessions)
            #expect(page.next != cursor || page.next == nil)
            // A client returns the cursor in this form.
            cursor = page.next.flatMap { SessionCursor($0.description, tenant: .standard) }
            try #require(pages.count < 1_000)
        } while cursor != nil
        return pages
    }

    @Test("Every session is listed once")
    func everySessionIsListedOnce() async throws {
        var random = SeededGenerator(seed: 1)
        let places = (0..<300).map { _ in
            SessionCursor(lastActivity: 1_700_000_000_000 + Int64.random(in: 0..<9, using: &random), session: .unique())
        }
        try await add(places)
        for limit in [3, 7, 50, 299, 300, 301, 500] {
            let pages = try await pages(limit: limit)
            #expect(pages.dropLast().allSatisfy { $0.count == limit }, "limit \(limit)")
            #expect(pages.count == (300 + limit - 1) / limit, "limit \(limit)")
            let listed = pages.flatMap { $0 }.map { SessionCursor(lastActivity: $0.lastActivity, session: $0.session) }
            #expect(listed == places.sorted { $0.precedes($1) }, "limit \(limit)")
            #expect(listed.map(\.lastActivity) == places.map(\.lastActivity).sorted(by: >), "limit \(limit)")
        }
        let first = try #require(try await store.list(after: nil, limit: 1).sessions.first)
        #expect(first.status == .waiting && first.step == 3 && first.historyLength == 2)
    }

    /// Any number of sessions in one bucket may have the same time, with others before and after.
    @Test("Equal times hide no session", arguments: [1_700_000_000_000, 0])
    func equalTimesHideNobody(time: Int64) async throws {
        var places: [SessionCursor] = []
        while places.count < 400 {
            let session = SessionID.unique()
            if RedisKeys(session).bucket == 5 { places.append(SessionCursor(lastActivity: time, session: session)) }
        }
        places += (1...60).map { SessionCursor(lastActivity: time + Int64($0 % 20), session: .unique()) }
        if time > 0 { places += (1...60).map { SessionCursor(lastActivity: time - Int64($0 % 20), session: .unique()) } }
        try await add(places)
        for limit in [10, 66, 150] {
            let listed = try await pages(limit: limit).flatMap { $0 }.map(\.session.text)
            #expect(Set(listed).count == listed.count)
            #expect(Set(listed) == Set(places.map(\.session.text)), "limit \(limit)")
            #expect(listed.count == places.count)
        }
    }

    @Test("An empty list has one page")
    func anEmptyListHasOnePage() async throws {
        let page = try await store.list(after: nil, limit: 10)
        #expect(page.sessions.isEmpty && page.next == nil)
    }

    @Test("Activity brings a session to the front")
    func activityBringsASessionToTheFront() async throws {
        let sessions = (0..<3).map { _ in SessionID.unique() }
        try await add(sessions.enumerated().map { SessionCursor(lastActivity: 1_700_000_000_000 + Int64($0), session: $1) })
        #expect(try await store.list(after: nil, limit: 9).sessions.map(\.session) == sessions.reversed())
        let lease = try await store.started(.user("hello", in: sessions[0]))
        var front = try await store.list(after: nil, limit: 1)
        // The store writes the index after the message, and no caller waits for the write.
        try await eventually("it is at the front") {
            front = try await store.list(after: nil, limit: 1)
            return front.sessions.map(\.session) == [sessions[0]]
        }
        #expect(front.sessions[0].status == .running && front.sessions[0].step == lease.step && front.sessions[0].historyLength == 3)
        #expect(front.sessions[0].lastActivity > 1_700_000_000_100)
    }

    /// When Redis expires a session's keys, the session's entry in the index remains.
    @Test("Expired sessions vanish")
    func expiredSessionsVanish() async throws {
        let now = try await store.now()
        let old = (0..<30).map { SessionCursor(lastActivity: now - 3_600_000 - $0, session: .unique()) }
        let young = (0..<3).map { SessionCursor(lastActivity: now - $0, session: .unique()) }
        try await add(old + young)
        let expired = old.filter { $0.lastActivity % 2 == 0 } + [young[1]]
        for place in expired {
            var delete = RedisCommand("DEL")
            delete.append(contentsOf: RedisKeys(place.session).all)
            #expect(try await connection.send(delete).integer == 2)
        }
        let expected = Set((old + young).map(\.session)).subtracting(expired.map(\.session))
        #expect(Set(try await pages(limit: 4).flatMap { $0 }.map(\.session)) == expected)
        #expect(try await pages(limit: 100).flatMap { $0 }.count == expected.count)
        for place in old + young {
            let score = try await connection.send(RedisCommand("ZSCORE", RedisKeys(place.session).index, place.session.text))
            #expect(score.isNull == !expected.contains(place.session))
        }
    }

    @Test("A session that began again during the check stays")
    func whatHasMovedStays() async throws {
        let session = SessionID.unique()
        let key = RedisKeys(session).index
        try await add([SessionCursor(lastActivity: 1_700_000_000_001, session: session)])
        try await store.forget([Hint(session: session, due: 1_700_000_000_000)], in: key)
        #expect(try redis.cli("ZSCORE", key, session.text) == "1700000000001")
        try await store.forget([Hint(session: .unique(), due: 1), Hint(session: session, due: 1_700_000_000_001)], in: key)
        #expect(try redis.cli("ZCARD", key) == "0")
    }

    @Test("A deleted session leaves nothing")
    func aDeletedSessionLeavesNothing() async throws {
        let session = SessionID.unique()
        let lease = try await store.started(.user("hello", in: session))
        _ = try await store.commit(StepCommit(lease, calls: ["a"], events: .tokens("x")))
        #expect(try await store.list(after: nil, limit: 9).sessions.map(\.session) == [session])
        #expect(try await store.delete(session))
        #expect(try redis.cli("--scan", "--pattern", "agent:{*") == "")
        #expect(try redis.cli("ZCARD", RedisKeys(session).index) == "0")
        #expect(try await store.list(after: nil, limit: 9).sessions.isEmpty)
        #expect(try await store.state(session) == nil)
        #expect(try await !store.delete(session))
    }
}
