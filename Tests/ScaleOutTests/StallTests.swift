import Foundation
import SessionStore
import TestSupport
import Testing

#if canImport(Glibc)
import Glibc
#endif

/// Leases run out because of Redis, although the replicas live. The test runs real servers.
@Suite("Stalls of Redis", .tags(.processes), .serialized, .timeLimit(.minutes(5)))
struct StallTests {
    private static let count = 20

    /// Twenty steps of one replica, with their viewers on another replica.
    private struct Scene {
        let redis: RedisServer
        let upstream: Upstream
        let gate = Gate()
        let owner: Replica
        let other: Replica
        let sessions = (0..<StallTests.count).map { _ in SessionID.unique() }

        let lease: Int64

        init(_ redis: RedisServer, lease: Int64, _ settings: [String: String] = [:]) async throws {
            (self.redis, self.lease) = (redis, lease)
            let (gate, upstream) = (gate, try await Upstream.start())
            upstream.answer { request in
                request.lastContent == "hold" ? .text("half", " and half").inserting(.gate(gate), after: 2) : .text("next")
            }
            self.upstream = upstream
            let environment = ["AGENT_RUNTIME__FOLLOW_TICK_MS": "100", "AGENT_RUNTIME__LEASE_MS": "\(lease)"].merging(settings) { $1 }
            async let first = Replica.start(redis: redis.url, upstream: upstream.url, name: "owner", environment: environment)
            async let second = Replica.start(redis: redis.url, upstream: upstream.url, name: "other", environment: environment)
            (owner, other) = try await (first, second)
        }

        /// Runs `fault` while all steps run, viewers follow the steps, and messages wait for them.
        /// Then lets the steps end.
        func run(_ fault: () async throws -> Void) async throws {
            try await withThrowingTaskGroup(of: Answer.self) { group in
                for session in sessions {
                    group.addTask { try await owner.client.post(AgentClient.body(session.text, ["content": "hold"])) }
                }
                try await eventually("all run") { gate.arrivals == sessions.count }
                for (index, session) in sessions.enumerated() {
                    group.addTask {
                        var viewer = try await other.client.open("GET", "/agent/sessions/\(session)/stream")
                        return try await viewer.rest()
                    }
                    guard index % 2 == 0 else { continue }
                    let body = AgentClient.body(session.text, ["content": "then"], ["on_conflict": "wait"])
                    group.addTask { try await other.client.post(body) }
                }
                try await eventually("all are looked at") {
                    try sessions.allSatisfy { try redis.lines("PUBSUB", "NUMSUB", RedisKeys($0).wake).last != "0" }
                }
                // A replica that has just started takes no steps over for a lease. This replica
                // must be able to.
                try await passLease()
                try await fault()
                try check()
                gate.open()
                for try await answer in group {
                    #expect(["half and half", "next"].contains(answer.content) && answer.done["status"] == "completed")
                    #expect(!answer.events.contains { $0.name == "restart" })
                }
            }
            #expect(upstream.violations.isEmpty)
        }

        private func leaseUntil(_ session: SessionID) throws -> Int64 {
            Int64(try redis.cli("HGET", RedisKeys(session).state, "lease_until")) ?? 0
        }

        /// Waits a little longer than a lease.
        func passLease() async throws {
            let first = try leaseUntil(sessions[0])
            try await eventually("time passes") { try leaseUntil(sessions[0]) > first + lease + 500 }
        }

        /// Returns whether each lease is in the future, at its owner or at another replica.
        func areRenewed() throws -> Bool {
            // The time is read after each lease. Otherwise a lease that is renewed in between would
            // seem to end too far ahead.
            try sessions.allSatisfy { session in
                let until = try leaseUntil(session)
                return try (1...lease).contains(until - redis.milliseconds())
            }
        }

        func check() throws {
            let fences = try sessions.map { try redis.cli("HGET", RedisKeys($0).state, "fence") }
            #expect(fences.count { $0 != "1" } == 0, "living steps that were restarted")
        }

        func stop() async throws {
            for replica in [owner, other] { try await replica.stop() }
            upstream.stop()
            try await redis.kill()
        }
    }

    /// The stall is shorter than the timeout of a command, so that no connection is lost.
    @Test("A stall longer than a lease restarts no living step (I6)", arguments: [(1000, 2000, 1500), (3000, 6000, 4000)])
    func aStallOfRedis(lease: Int, timeout: Int, stall: Int) async throws {
        let scene = try await Scene(
            .start(), lease: Int64(lease), ["AGENT_RUNTIME__REDIS_TIMEOUT_MS": "\(timeout)"])
        try await scene.run {
            scene.redis.process.signal(SIGSTOP)
            try await Task.sleep(for: .milliseconds(stall))
            scene.redis.process.signal(SIGCONT)
            try await eventually("all leases live") { try scene.areRenewed() }
        }
        try await scene.stop()
    }

    /// The clock of Redis's host is corrected, or Redis moves to another host.
    @Test("A jump of Redis's clock restarts no living step (I6)")
    func aStepOfRedissClock() async throws {
        let clock = try FakeClock()
        let scene = try await Scene(.start(clock: clock), lease: 2000)
        try await scene.run {
            for seconds in [10, 40, 10, -20] {
                try clock.set(ahead: seconds)
                try await eventually("the clock is set") {
                    let now = Int64(Date.now.timeIntervalSince1970) + Int64(seconds)
                    return try abs(scene.redis.milliseconds() / 1000 - now) < 5
                }
                try await eventually("all leases live") { try scene.areRenewed() }
                try scene.check()
                try await scene.passLease()
            }
        }
        try await scene.stop()
    }

    /// The owner is lost at the same time. Its lease and its hint are in the future.
    @Test("A step lost when the clock is set back is taken over in time (I6)")
    func aReplicaThatIsLostWhenTheClockIsSetBack() async throws {
        let clock = try FakeClock()
        try clock.set(ahead: 60)
        let redis = try await RedisServer.start(clock: clock)
        let upstream = try await Upstream.start()
        let gate = Gate()
        upstream.answer { request in
            // The first request is the owner's, the second that of the replica that takes the step
            // over.
            upstream.requests.count { $0.lastContent == request.lastContent } == 1
                ? .text("half", " and half").inserting(.gate(gate), after: 2) : .text("a whole", " answer")
        }
        let lease = Duration.seconds(1)
        let environment = ["AGENT_RUNTIME__LEASE_MS": "1000"]
        async let first = Replica.start(redis: redis.url, upstream: upstream.url, name: "owner", environment: environment)
        async let second = Replica.start(redis: redis.url, upstream: upstream.url, name: "other", environment: environment)
        let (owner, other) = try await (first, second)
        // One owner is lost before it has renewed its lease by the new clock, the other afterwards.
        for (session, renews) in [(SessionID.unique(), false), (.unique(), true)] {
            var open = try await owner.client.open(AgentClient.body(session.text, ["content": .string(session.text)]))
            try await open.next { $0.data["token"].string == "half" }
            func leaseLeft() throws -> Int64 {
                (Int64(try redis.cli("HGET", RedisKeys(session).state, "lease_until")) ?? 0) - (try redis.milliseconds())
            }
            if !renews { try await owner.pause() }
            try clock.set(ahead: renews ? 0 : 30)
            try await eventually("the clock is set") { try leaseLeft() > 20_000 || renews }
            if renews { try await eventually("it has renewed") { try (1...2000).contains(leaseLeft()) } }
            let lost = ContinuousClock.now
            if renews { try await owner.pause() }
            try await eventually("it is answered") { try redis.history(session).last?["content"] == "a whole answer" }
            // The limit is a lease and a second as always, and the same time again because of the
            // clock.
            #expect(ContinuousClock.now - lost < (lease + .seconds(1)) * 2)
            owner.resume()
            _ = try await open.rest()
        }
        gate.open()
        for replica in [owner, other] { try await replica.stop() }
        upstream.stop()
        try await redis.kill()
    }
}

extension RedisServer {
    /// Returns milliseconds since 1970 by the server's clock.
    fileprivate func milliseconds() throws -> Int64 {
        let time = try lines("TIME").compactMap { Int64($0) }
        return time.count == 2 ? time[0] * 1000 + time[1] / 1000 : 0
    }
}
