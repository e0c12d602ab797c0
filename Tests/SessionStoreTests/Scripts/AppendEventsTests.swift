import TestSupport
import Testing

@testable import SessionStore

@Suite("append_events", .tags(.redis), .serialized)
struct AppendEventsTests {
    @Test("A batch is one entry and extends the lease")
    func aBatchIsOneEntryAndExtendsTheLease() async throws {
        let (it, token) = try await ScriptSession.running { $0.lease = 1_000 }
        let before = try await it.dump()
        let answer = try await it.append(token, 1, lastSequence: 3, ["token", "a", "token", "b", "message", #"{"x":[]}"#], lease: 7_000)
        #expect(answer.line == "written")
        var expected = before
        expected.events.append(SessionDump.Entry(id: "1-3", fields: ["token", "a", "token", "b", "message", #"{"x":[]}"#]))
        expected.state["lease_until"] = "\(answer.now + 7_000)"
        #expect(try await it.dump() == expected)
    }

    @Test("An empty batch only renews the lease")
    func anEmptyBatchOnlyRenews() async throws {
        let (it, token) = try await ScriptSession.running { $0.lease = 1_000 }
        var expected = try await it.dump()
        let answer = try await it.append(token, 1, lastSequence: 0, [], lease: 9_000)
        expected.state["lease_until"] = "\(answer.now + 9_000)"
        #expect(try await it.dump() == expected)
    }

    @Test("A batch that the log already has is not written again")
    func aBatchThatTheLogHasIsWrittenOnce() async throws {
        let (it, token) = try await ScriptSession.running()
        for _ in 0..<3 { #expect(try await it.append(token, 1, lastSequence: 2, ["token", "a", "token", "b"]).line == "written") }
        #expect(try await it.dump().events.map(\.id) == ["1-0", "1-2"])
        // If a batch was not acknowledged, the writer repeats it with the next one. Followers skip
        // events that they already have.
        #expect(try await it.append(token, 1, lastSequence: 3, ["token", "a", "token", "b", "token", "c"]).line == "written")
        #expect(try await it.dump().events.map(\.id) == ["1-0", "1-2", "1-3"])
        #expect(try await it.append(token, 1, lastSequence: 2, ["token", "a", "token", "b"]).line == "written")
        #expect(try await it.dump().events.map(\.id) == ["1-0", "1-2", "1-3"])
    }

    @Test("Another token writes nothing (I3)")
    func anotherTokenWritesNothing() async throws {
        let (it, token) = try await ScriptSession.running()
        try await it.refused("lost 1 ") { try await it.append("other", 1, lastSequence: 1, ["token", "a"]) }
        try await it.refused("lost 1 ") { try await it.append("other", 1, lastSequence: 0, []) }
        try await it.refused("lost 1 ") { try await it.append("", 1, lastSequence: 1, ["token", "a"]) }
        #expect(try await it.takeOver { ($0.force, $0.intent) = (true, "cancel") }.name == "taken")
        try await it.refused("lost 2 cancel") { try await it.append(token, 1, lastSequence: 1, ["token", "a"]) }
        let none = try await ScriptSession()
        try await none.refused("lost 0 ") { try await none.append(token, 1, lastSequence: 1, ["token", "a"]) }
        let (ended, old) = try await ScriptSession.running()
        _ = try await ended.commit(old, 1)
        try await ended.refused("lost 1 ") { try await ended.append(old, 1, lastSequence: 1, ["token", "a"]) }
    }

    /// After the deadline, another replica may take the step over. Until it does, the token still
    /// allows writes.
    @Test("An expired lease still writes while its token holds")
    func aLeaseThatHasRunOutStillWrites() async throws {
        let (it, token) = try await ScriptSession.running { $0.lease = 1 }
        try await eventually("the lease runs out") { try await it.begin().name == "orphaned" }
        #expect(try await it.append(token, 1, lastSequence: 1, ["token", "late"]).line == "written")
        #expect(try await it.begin().name == "busy")
        #expect(try await it.dump().events.last?.fields == ["token", "late"])
    }

    @Test("A write wakes followers, and a renewal does not")
    func aWriteWakesFollowersAndARenewalDoesNot() async throws {
        let (it, token) = try await ScriptSession.running()
        let listener = try await ChannelListener(it.keys.wake, on: it.redis)
        _ = try await it.append(token, 1, lastSequence: 0, [])
        _ = try await it.append("other", 1, lastSequence: 1, ["token", "a"])
        _ = try await it.append(token, 1, lastSequence: 1, ["token", "a"])
        _ = try await it.append(token, 1, lastSequence: 1, ["token", "a"])
        _ = try await it.commit(token, 1)
        _ = try await it.commit(token, 1)
        _ = try await it.begin()
        _ = try await it.begin()
        _ = try await it.delete()
        _ = try await it.delete()
        #expect(try await listener.heard(until: "deleted") == ["1", "1", "2", "deleted"])
    }

    /// The batch has more events than Lua can unpack. Each entry's id is the number of its last
    /// event.
    @Test("A very large batch becomes several entries", arguments: [999, 1_000, 1_001, 4_000, 9_001])
    func aVeryLargeBatchBecomesSeveralEntries(count: Int) async throws {
        let (it, token) = try await ScriptSession.running()
        let events = (1...count).flatMap { ["token", "t\($0)"] }
        for _ in 0..<2 {
            #expect(try await it.append(token, 1, lastSequence: count, events).line == "written")
            let entries = try await it.dump().events.dropFirst()
            #expect(entries.flatMap(\.fields) == events)
            var sequence = 0
            for entry in entries {
                sequence += entry.fields.count / 2
                #expect(entry.id == "1-\(sequence)")
            }
            #expect(entries.count == (count + 999) / 1_000)
        }
    }

    @Test("The rest of a batch whose head is logged is written")
    func aGrownBatchIsWrittenToItsEnd() async throws {
        let (it, token) = try await ScriptSession.running()
        let events = (1...5_000).flatMap { ["token", "t\($0)"] }
        _ = try await it.append(token, 1, lastSequence: 1_500, Array(events.prefix(3_000)))
        _ = try await it.append(token, 1, lastSequence: 5_000, events)
        var seen = 0
        var texts: [String] = []
        for entry in try await it.dump().events.dropFirst() {
            let last = try #require(Int(entry.id.dropFirst(2)))
            let values = stride(from: 1, to: entry.fields.count, by: 2).map { entry.fields[$0] }
            texts += values.suffix(last - seen)
            seen = last
        }
        #expect(texts == (1...5_000).map { "t\($0)" })
    }
}
