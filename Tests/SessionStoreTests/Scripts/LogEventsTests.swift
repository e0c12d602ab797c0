import TestSupport
import Testing

@testable import SessionStore

/// The script writes the same as `append_events`, but does not change the lease.
@Suite("log_events", .tags(.redis), .serialized)
struct LogEventsTests {
    private static let batch = ["token", "a", "token", "b", "message", #"{"x":[]}"#]

    @Test("A batch is one entry and leaves the lease alone")
    func aBatchIsOneEntryAndLeavesTheLease() async throws {
        let (it, token) = try await ScriptSession.running { ($0.lease, $0.ttl) = (5_000, 90_000) }
        var expected = try await it.dump()
        #expect(try await it.log(token, 1, lastSequence: 3, Self.batch) == 1)
        expected.events.append(SessionDump.Entry(id: "1-3", fields: Self.batch))
        #expect(try await it.dump() == expected)
    }

    /// After any earlier calls, both scripts write the same log.
    @Test("The log equals that of append_events")
    func theLogIsThatOfAppendEvents() async throws {
        let ((one, first), (two, second)) = (try await ScriptSession.running(), try await ScriptSession.running())
        for (last, events) in [
            (2, ["token", "a", "token", "b"]), (2, ["token", "a", "token", "b"]), (3, ["token", "a", "token", "b", "token", "c"]),
            (2, ["token", "a", "token", "b"]), (1503, Array(repeating: ["token", "x"], count: 1500).flatMap { $0 }),
        ] {
            #expect(try await one.log(first, 1, lastSequence: last, events) == 1)
            #expect(try await two.append(second, 1, lastSequence: last, events).line == "written")
        }
        let (log, fields) = (try await one.dump().events, try await two.dump().events.flatMap(\.fields))
        #expect(log.flatMap(\.fields).dropFirst(4) == fields.dropFirst(4))
        #expect(log.map(\.id) == ["1-0", "1-2", "1-3", "1-1503"])
    }

    @Test("Another token writes nothing (I3)")
    func anotherTokenWritesNothing() async throws {
        let (it, token) = try await ScriptSession.running()
        func refused(_ it: ScriptSession, _ token: String) async throws {
            let before = try await it.dump()
            #expect(try await it.log(token, 1, lastSequence: 1, ["token", "a"]) == 0)
            #expect(try await it.dump() == before)
        }
        try await refused(it, "other")
        try await refused(it, "")
        #expect(try await it.takeOver { $0.force = true }.name == "taken")
        try await refused(it, token)
        try await refused(try await ScriptSession(), token)
        let (released, given) = try await ScriptSession.running()
        _ = try await released.release(given)
        try await refused(released, given)
        let (ended, old) = try await ScriptSession.running()
        _ = try await ended.commit(old, 1)
        try await refused(ended, old)
        // The session was deleted, and begun anew under the same name.
        #expect(try await ended.delete())
        _ = try await ended.begin()
        try await refused(ended, old)
    }

    /// After the deadline, another replica may take the step over. Until it does, the token still
    /// allows writes.
    @Test("An expired lease still writes and stays expired")
    func aLeaseThatHasRunOutStillWritesAndStaysRunOut() async throws {
        let (it, token) = try await ScriptSession.running { $0.lease = 1 }
        try await eventually("the lease runs out") { try await it.begin().name == "orphaned" }
        #expect(try await it.log(token, 1, lastSequence: 1, ["token", "late"]) == 1)
        #expect(try await it.begin().name == "orphaned")
        #expect(try await it.dump().events.last?.fields == ["token", "late"])
    }

    @Test("A write wakes followers")
    func aWriteWakesFollowers() async throws {
        let (it, token) = try await ScriptSession.running()
        let listener = try await ChannelListener(it.keys.wake, on: it.redis)
        _ = try await it.log("other", 1, lastSequence: 1, ["token", "a"])
        _ = try await it.log(token, 1, lastSequence: 1, ["token", "a"])
        _ = try await it.log(token, 1, lastSequence: 1, ["token", "a"])
        _ = try await it.delete()
        #expect(try await listener.heard(until: "deleted") == ["1", "deleted"])
    }

    // MARK: The store

    private func leaseUntil(_ it: ScriptSession) async throws -> String? { try await it.dump().state["lease_until"] }

    @Test("The store renews the lease and the expiry in time", arguments: [nil, Duration.seconds(20), .seconds(19)])
    func theStoreRenewsWhereItMust(ttl: Duration?) async throws {
        let it = try await ScriptSession()
        let store = try await it.store(lease: .seconds(10)) { $0.sessionTTL = ttl }
        let lease = try await store.started(.user("hello", in: it.session))
        var last = try await leaseUntil(it)
        func hasRenewed(_ events: LoggedEvents, renews: Bool) async throws -> Bool {
            // Redis's clock must advance, so that the test can notice a renewal.
            try await eventually("a millisecond passes") {
                try await it.append("x", 1, lastSequence: 0, []).now + 10_000 > Int64(last ?? "") ?? 0
            }
            let before = last
            #expect(await store.append(events, lease: lease, renews: renews).value == .held)
            last = try await leaseUntil(it)
            return last != before
        }
        #expect(try await hasRenewed(.tokens("a"), renews: true))
        // If the keys expire within a few leases, the writer renews them soon.
        #expect(try await hasRenewed(.tokens("b", from: 2), renews: false) == (ttl == .seconds(19)))
        #expect(try await hasRenewed(LoggedEvents(firstSequence: 3), renews: false))
        var many = LoggedEvents(firstSequence: 3)
        for number in 0..<5000 { many.append(token: "\(number)") }
        #expect(try await hasRenewed(many, renews: false))
        #expect(try await it.dump().events.dropFirst().flatMap(\.fields).count == 2 * 5002)
    }

    @Test("The store reports how a lease was lost")
    func theStoreTellsHowALeaseWasLost() async throws {
        let it = try await ScriptSession()
        let store = try await it.store()
        let lease = try await store.started(.user("hello", in: it.session))
        #expect(try await it.takeOver { ($0.force, $0.intent) = (true, "cancel") }.name == "taken")
        #expect(await store.append(.tokens("a"), lease: lease, renews: false).value == .lost(step: 2, intent: "cancel"))
        #expect(try await it.delete())
        #expect(await store.append(.tokens("a"), lease: lease, renews: false).value == .lost(step: 0, intent: ""))
    }
}
