import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// A session ends at a time after its creation, whether it is used or not.
@Suite("The greatest age of a session", .tags(.redis), .serialized)
struct MaximumAgeTests {
    private static let age = 600_000
    private static let grace = 60_000

    private func created(_ it: ScriptSession) async throws -> Int64 {
        try #require(try await it.dump().state["created_at"].flatMap { Int64($0) })
    }

    /// Moves the session's creation into the past.
    private func grow(_ it: ScriptSession, by milliseconds: Int) async throws -> Int64 {
        let time = try await created(it) - Int64(milliseconds)
        try await it.command("HSET", it.keys.state, "created_at", "\(time)")
        return time
    }

    @Test("Every write expires all keys at the session's age (I8)")
    func everyWriteExpiresAtTheAge() async throws {
        let it = try await ScriptSession()
        let (first, second, third) = (LeaseToken().text, LeaseToken().text, LeaseToken().text)
        _ = try await it.begin { ($0.token, $0.maximumAge) = (first, Self.age) }
        let end = try await created(it) + Int64(Self.age)
        func expires() async throws { #expect(try await it.dump().expiryTimes == [end]) }
        try await expires()
        _ = try await it.append(first, 1, lastSequence: 1, ["token", "a"], maximumAge: Self.age)
        try await expires()
        var commit = CommitArguments.calls("a", "b")
        commit.maximumAge = Self.age
        _ = try await it.commit(first, 1, commit)
        try await expires()
        _ = try await it.result(of: "a") { $0.maximumAge = Self.age }
        try await expires()
        _ = try await it.result(of: "b") { ($0.token, $0.maximumAge) = (second, Self.age) }
        // The age is in the state, so that a replica with another setting keeps it.
        let taken = try await it.takeOver { ($0.token, $0.step, $0.force) = (third, 2, true) }
        #expect(taken.rest.last == "\(Self.age)")
        try await expires()
        commit = .text()
        commit.maximumAge = Self.age
        _ = try await it.commit(third, 3, commit)
        try await expires()
        #expect(try await it.store().rewind(it.session, to: 1) == .rewound(historyLength: 1, step: 4))
        try await expires()
    }

    @Test("The earlier of age and idle time counts")
    func theEarlierTimeCounts() async throws {
        let (it, token) = try await ScriptSession.running { ($0.maximumAge, $0.ttl) = (Self.age, 1000 * Self.age) }
        #expect(try await it.dump().expiryTimes == [created(it) + Int64(Self.age)])
        let answer = try await it.append(token, 1, lastSequence: 1, ["token", "a"], ttl: 70_000, maximumAge: Self.age)
        #expect(try await it.dump().expiryTimes == [answer.now + 70_000])
    }

    @Test("A running step keeps a session that has reached its age, and a message does not")
    func aRunningStepKeepsTheSession() async throws {
        let (it, token) = try await ScriptSession.running { $0.maximumAge = Self.age }
        _ = try await grow(it, by: 2 * Self.age)
        var answer = try await it.append(token, 1, lastSequence: 1, ["token", "a"], maximumAge: Self.age)
        #expect(try await it.dump().expiryTimes == [answer.now + Int64(Self.grace)])
        #expect(try await it.begin { $0.maximumAge = Self.age }.name == "busy")
        var commit = CommitArguments.text()
        commit.maximumAge = Self.age
        answer = try await it.commit(token, 1, commit)
        #expect(try await it.dump().expiryTimes == [answer.now + Int64(Self.grace)])
        let before = try await it.dump()
        answer = try await it.begin { $0.maximumAge = Self.age }
        #expect(answer.line == "expired \(before.state["epoch"] ?? "") ")
        #expect(try await it.dump() == before)
        // Without the setting the session goes on.
        #expect(try await it.begin().name == "started")
        #expect(try await it.dump().expiryTimes == [-1])
        // The age of an earlier message does not count for the step.
        #expect(try await it.takeOver { ($0.step, $0.force) = (2, true) }.rest.last == "0")
        #expect(try await it.dump().expiryTimes == [-1])
    }

    @Test("The store begins a session of the same name in place of one that has reached its age")
    func theStoreBeginsAnew() async throws {
        let (it, token) = try await ScriptSession.running()
        _ = try await it.commit(token, 1)
        _ = try await grow(it, by: 2 * Self.age)
        let store = try await it.store { $0.maximumAge = .milliseconds(Self.age) }
        let lease = try await store.started(.user("hello", in: it.session))
        #expect(lease.step == 1)
        #expect(try await it.dump().history.count == 1)
        #expect(try await it.dump().expiryTimes == [created(it) + Int64(Self.age)])
    }

    /// Each of them is refused, deletes the old session and calls again.
    @Test("Two replicas that meet a session of the greatest age begin one session")
    func twoReplicasBeginOne() async throws {
        for _ in 0..<30 {
            let (it, token) = try await ScriptSession.running()
            _ = try await it.commit(token, 1)
            _ = try await grow(it, by: 2 * Self.age)
            var outcomes: [String] = []
            try await withThrowingTaskGroup(of: String.self) { group in
                for name in ["one", "two"] {
                    group.addTask {
                        let store = try await it.store(replica: name) { $0.maximumAge = .milliseconds(Self.age) }
                        defer { store.client.shutDown() }
                        switch try await store.begin(.user(name, in: it.session)) {
                        case .started: return "started"
                        case .busy: return "busy"
                        case let other: return "\(other)"
                        }
                    }
                }
                for try await outcome in group { outcomes.append(outcome) }
            }
            #expect(outcomes.sorted() == ["busy", "started"])
            let dump = try await it.dump()
            #expect(dump.history.count == 1 && dump.state["fence"] == "1")
        }
    }

    @Test("A lease keeps the age, from the first replica to the one that takes the step over")
    func aLeaseKeepsTheAge() async throws {
        let it = try await ScriptSession()
        let first = try await it.store { $0.maximumAge = .milliseconds(Self.age) }
        let lease = try await first.started(.user("hello", in: it.session))
        let end = try await created(it) + Int64(Self.age)
        _ = await first.append(.tokens("a"), lease: lease)
        #expect(try await it.dump().expiryTimes == [end])
        _ = try await first.release(lease)
        let taken = try await it.store(replica: "replica-2").taken(lease)
        #expect(taken.maximumAge == Int64(Self.age))
        _ = try await it.store(replica: "replica-2").commit(StepCommit(taken))
        #expect(try await it.dump().expiryTimes == [end])
    }

    @Test("A call's age precedes the store's")
    func aCallsAgePrecedesTheStores() async throws {
        let it = try await ScriptSession()
        var begin = BeginStep.user("hello", in: it.session)
        begin.maximumAge = .seconds(100)
        _ = try await it.store { $0.maximumAge = .seconds(900) }.started(begin)
        #expect(try await it.dump().expiryTimes == [created(it) + 100_000])
    }

    @Test("A session of an earlier build has no time of creation, and stays")
    func aSessionWithoutATimeStays() async throws {
        let (it, token) = try await ScriptSession.running()
        _ = try await it.commit(token, 1)
        try await it.command("HDEL", it.keys.state, "created_at")
        #expect(try await it.begin { $0.maximumAge = Self.age }.name == "started")
        #expect(try await it.dump().expiryTimes == [-1])
    }
}
