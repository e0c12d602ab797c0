import Testing

@testable import SessionStore

/// Tests the evidence that decides whether the owner of a lease that ran out is lost (I6). The test
/// sets the clocks; Redis's clock is `epoch` ahead.
@Suite("Evidence of a lost replica")
struct NodeEvidenceTests {
    private static let epoch: Int64 = 1_700_000_000_000
    private static let (limit, pause): (Int64, Int64) = (1000, 3000)

    /// Evidence with a reply every quarter of a second from 0 on, until after the first pause.
    private func trusted() -> NodeEvidence {
        var evidence = NodeEvidence(Self.epoch, sent: 0, received: 1, quietLimit: Self.limit, pause: Self.pause)
        for now in stride(from: Int64(250), through: 4000, by: 250) { evidence.hear(at: now) }
        return evidence
    }

    @Test("A new server counts as having been away")
    func aServerThatIsNewHasBeenAway() {
        var evidence = NodeEvidence(Self.epoch, sent: 0, received: 1, quietLimit: Self.limit, pause: Self.pause)
        for now in stride(from: Int64(250), through: 3000, by: 250) {
            evidence.hear(at: now)
            #expect(!evidence.isTrusted(at: now))
        }
        evidence.hear(at: 3250)
        #expect(evidence.isTrusted(at: 3250))
    }

    @Test("The reply that ends a silence decides about it")
    func aSilenceIsJudgedByTheReplyThatEndsIt() {
        var evidence = trusted()
        // Beats may be late.
        evidence.hear(at: 4900)
        #expect(evidence.isTrusted(at: 4900))
        // No reply comes now.
        #expect(!evidence.isTrusted(at: 6000))
        evidence.hear(at: 6001)
        #expect(!evidence.isTrusted(at: 6001))
        for now in stride(from: Int64(6250), through: 9000, by: 250) {
            evidence.hear(at: now)
            #expect(!evidence.isTrusted(at: now))
        }
        evidence.hear(at: 9001)
        #expect(evidence.isTrusted(at: 9001))
    }

    /// The command was sent before the stall, and Redis replied after it.
    @Test("A reply queued during a stall counts when it was executed")
    func aReplyThatWasQueuedDuringAStallEndsIt() {
        var evidence = trusted()
        evidence.heard(Self.epoch + 5500, sent: 4001, received: 5500)
        #expect(!evidence.isTrusted(at: 5500))
    }

    /// The reply waited for others on its connection while other replies arrived, so that Redis was
    /// not away.
    @Test("A delayed reply is neither a silence nor a clock jump")
    func aReplyThatWasLongOnItsWayIsNoSilenceAndNoJump() {
        var evidence = trusted()
        evidence.heard(Self.epoch + 4010, sent: 4005, received: 6500)
        #expect(!evidence.isTrusted(at: 6500), "nothing else has come")
        evidence = trusted()
        for now in stride(from: Int64(4250), through: 6500, by: 250) { evidence.hear(at: now) }
        evidence.heard(Self.epoch + 4010, sent: 4005, received: 6500)
        #expect(evidence.isTrusted(at: 6500))
        // The command was sent long ago, and Redis has executed it only now.
        evidence.heard(Self.epoch + 6505, sent: 4005, received: 6510)
        #expect(evidence.isTrusted(at: 6510) && evidence.time(at: 6510) - Self.epoch == 6510)
    }

    @Test("A clock jump is noticed at once", arguments: [10_000, 1500, -1500, -30_000, 3_600_000])
    func aClockThatJumpsIsNoticedAtOnce(by jump: Int64) {
        var evidence = trusted()
        evidence.heard(Self.epoch + 4250 + jump, sent: 4249, received: 4250)
        #expect(!evidence.isTrusted(at: 4250) && evidence.time(at: 4250) == Self.epoch + 4250 + jump)
        for now in stride(from: Int64(4500), through: 7500, by: 250) {
            evidence.heard(Self.epoch + now + jump, sent: now - 1, received: now)
            #expect(evidence.isTrusted(at: now) == (now >= 7250), "\(now)")
        }
        // For as long as the clock was set back, and a lease, times of the earlier clock may be in
        // the future.
        #expect((evidence.staleUntil > 7500) == (jump < 0))
        if jump < 0 { #expect(evidence.staleUntil - (4250 - jump + Self.pause) <= 2) }
    }

    /// The server's machine stopped, together with its clock.
    @Test("A clock that stood still is noticed")
    func aClockThatStoodStillIsNoticed() {
        var evidence = trusted()
        evidence.heard(Self.epoch + 4001, sent: 6000, received: 6001)
        #expect(!evidence.isTrusted(at: 6001))
    }

    @Test("Clocks may drift")
    func clocksMayDrift() {
        var evidence = trusted()
        for step in 1...10_000 {
            let now = 4000 + 250 * Int64(step)
            evidence.heard(Self.epoch + now + Int64(step) / 4, sent: now - 1, received: now)
            #expect(evidence.isTrusted(at: now))
        }
        #expect(evidence.time(at: 0) - Self.epoch >= 2499)
    }

    @Test("A refusal begins a pause")
    func aRefusalBeginsAPause() {
        var evidence = trusted()
        evidence.refused(at: 4100)
        for now in stride(from: Int64(4250), through: 7000, by: 250) {
            evidence.hear(at: now)
            #expect(!evidence.isTrusted(at: now))
        }
        evidence.hear(at: 7100)
        #expect(evidence.isTrusted(at: 7100))
    }
}

extension NodeEvidence {
    fileprivate mutating func hear(at now: Int64) { heard(1_700_000_000_000 + now, sent: now - 1, received: now) }
}
