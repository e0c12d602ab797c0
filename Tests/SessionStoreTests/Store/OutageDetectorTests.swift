import Foundation
import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// Evidence about one server does not apply to another server, and connections are not evidence.
@Suite("Detecting outages", .timeLimit(.minutes(2)))
struct OutageDetectorTests {
    private let one = KeyLocation(node: .tcp(host: "n1", port: 1), slot: 7)
    private let two = KeyLocation(node: .tcp(host: "n2", port: 1), slot: 8)

    private func hear(_ watch: OutageDetector, _ locations: KeyLocation..., ahead: Int64 = 0) {
        let time = Int64(Date.now.timeIntervalSince1970 * 1000) + ahead
        for location in locations { watch.heard(time, from: location.node, sent: .now) }
    }

    private func trusted(_ locations: KeyLocation...) async throws -> OutageDetector {
        let watch = OutageDetector(lease: .seconds(30), pause: .milliseconds(300))
        try await eventually("it is trusted") {
            for location in locations { hear(watch, location) }
            return locations.allSatisfy { watch.isOver(at: $0) }
        }
        return watch
    }

    @Test("Each server is judged on its own (I6)")
    func eachServerIsJudgedByItself() async throws {
        let watch = try await trusted(one)
        #expect(!watch.isOver(at: two), "nothing was heard of it")
        hear(watch, two)
        #expect(!watch.isOver(at: two) && watch.isOver(at: one))
        try await eventually("its pause is over") { watch.isOver(at: two) }
        // One of two clocks is set forward.
        hear(watch, two, ahead: 60_000)
        #expect(!watch.isOver(at: two) && watch.isOver(at: one) && !watch.wasSetBack(at: two))
        let (first, second) = (try #require(watch.time(of: one.node)), try #require(watch.time(of: two.node)))
        let latest = try #require(watch.latestTime)
        #expect(abs(second - first - 60_000) < 1000 && abs(latest - second) < 1000)
        hear(watch, two)
        #expect(watch.wasSetBack(at: two) && !watch.wasSetBack(at: one))
    }

    /// The detector may have watched the slot's former server. It has not watched this server while
    /// the leases ran.
    @Test("Steps of a slot that has moved are left alone")
    func aSlotThatHasMovedIsLeftAlone() async throws {
        let watch = try await trusted(one, two)
        var moved = two
        moved.since = .now
        #expect(!watch.isOver(at: moved) && watch.isOver(at: two))
        try await eventually("its pause is over") { watch.isOver(at: moved) }
    }

    @Test(
        "A refusal postpones takeovers",
        arguments: [
            ("TRYAGAIN Multiple keys request during rehashing of slot", true, true), ("CLUSTERDOWN The cluster is down", false, false),
            ("LOADING Redis is loading the dataset in memory", false, true), ("MISCONF Errors writing to the AOF file", false, true),
        ]
    )
    func aRefusalIsNoTimeToTakeOver(error: String, slotAlone: Bool, nodeAlone: Bool) async throws {
        let watch = try await trusted(one, two)
        var beside = one
        beside.slot = 9
        #expect(watch.refused(RedisError(reply: error), at: one))
        #expect(!watch.isOver(at: one) && watch.isOver(at: beside) == slotAlone && watch.isOver(at: two) == nodeAlone)
        try await eventually("the pauses are over") { watch.isOver(at: one) && watch.isOver(at: two) }
    }

    @Test("A command's own error says nothing about the server")
    func whatIsTheCommandsOwnFaultSaysNothing() async throws {
        let watch = try await trusted(one)
        #expect(!watch.refused(RedisError(reply: "WRONGTYPE Operation against a key"), at: one))
        #expect(!watch.refused(RedisError(.connectionLost, "lost"), at: one) && watch.isOver(at: one))
    }

    @Test("An invalid time is ignored")
    func aTimeThatIsNoneIsNotTakenIn() {
        let watch = OutageDetector(lease: .seconds(3), pause: .seconds(3))
        for time: Int64 in [-1, .min, .max, 1 << 54] { watch.heard(time, from: one.node, sent: .now) }
        #expect(watch.time(of: one.node) == nil && watch.latestTime == nil)
    }
}
