import TestSupport
import Testing

@testable import SessionStore

@Suite("release_step", .tags(.redis), .serialized)
struct ReleaseStepTests {
    @Test("A released step may be taken at once and does not count as an attempt")
    func aReleasedStepMayBeTakenAtOnceAndDoesNotCount() async throws {
        let (it, token) = try await ScriptSession.running()
        var expected = try await it.dump()
        #expect(try await it.release(token).line == "released")
        expected.state["lease_until"] = "0"
        expected.state["attempt"] = "0"
        expected.state["token"] = ""
        expected.state["released"] = token
        #expect(try await it.dump() == expected)
        try await it.refused("orphaned 1") { try await it.begin() }
        // The takeover is not forced, and the lease has not run out.
        #expect(try await it.takeOver().name == "taken")
        #expect(try await it.dump().state["attempt"] == "1")
    }

    @Test("The same token releases once")
    func theSameTokenReleasesOnce() async throws {
        let (it, token) = try await ScriptSession.running()
        _ = try await it.release(token)
        try await it.refused("released") { try await it.release(token) }
        _ = try await it.takeOver()
        try await it.refused("lost 2 ") { try await it.release(token) }
    }

    @Test("Another token releases nothing (I3)")
    func anotherTokenReleasesNothing() async throws {
        let (it, token) = try await ScriptSession.running()
        try await it.refused("lost 1 ") { try await it.release("other") }
        try await it.refused("lost 1 ") { try await it.release("") }
        _ = try await it.takeOver { ($0.force, $0.intent) = (true, "cancel") }
        try await it.refused("lost 2 cancel") { try await it.release(token) }
        let none = try await ScriptSession()
        try await none.refused("lost 0 ") { try await none.release(token) }
        let (ended, old) = try await ScriptSession.running()
        _ = try await ended.commit(old, 1)
        try await ended.refused("lost 1 ") { try await ended.release(old) }
    }

    /// Redis executes an earlier command of the former owner late.
    @Test("Late writes of the former owner do not hold a released step (I3)")
    func aReleasedStepIsNoLongerItsOwners() async throws {
        let (it, token) = try await ScriptSession.running()
        _ = try await it.release(token)
        try await it.refused("lost 1 ") { try await it.append(token, 1, lastSequence: 1, ["token", "late"]) }
        try await it.refused("lost 1 ") { try await it.commit(token, 1) }
        try await it.refused("released") { try await it.release(token) }
        #expect(try await it.takeOver().name == "taken")
        #expect(try await it.dump().state["attempt"] == "1")
    }

    @Test("A release wakes followers once")
    func aReleaseWakesFollowersOnce() async throws {
        let (it, token) = try await ScriptSession.running()
        let listener = try await ChannelListener(it.keys.wake, on: it.redis)
        _ = try await it.release("other")
        _ = try await it.release(token)
        _ = try await it.release(token)
        _ = try await it.delete()
        #expect(try await listener.heard(until: "deleted") == ["1", "deleted"])
    }
}
