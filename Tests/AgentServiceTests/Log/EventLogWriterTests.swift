import Foundation
import Locks
import NIOCore
import NIOPosix
import RedisClient
import TestSupport
import Testing

@testable import AgentService
@testable import LanguageModels
@testable import SessionStore

/// A step's events reach the log of a real Redis.
@Suite("Writing a step's events into the log", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct EventLogWriterTests {
    /// A log, and its reports about its lease.
    final class Logging: Sendable {
        let log: EventLogWriter
        private let losses: Losses

        final class Losses: Sendable {
            let all = Guarded<[StopReason]>([])
        }

        init(_ session: SessionInRedis, _ lease: StepLease, interval: Duration = .milliseconds(5), batch: Int = 64) {
            let losses = Losses()
            self.losses = losses
            log = EventLogWriter(store: session.store, lease: lease, interval: interval, batchLimit: batch) { step, intent in
                losses.all.withLock { $0.append(.lost(step: step, intent: intent)) }
            }
        }

        var lost: [StopReason] { losses.all.withLock { $0 } }

        @discardableResult
        func say(_ texts: String...) -> Int {
            log.append { for text in texts { $0.append(token: text) } }
        }

        @discardableResult
        func say(_ numbers: Range<Int>) -> Int {
            log.append { for number in numbers { $0.append(token: "\(number)") } }
        }
    }

    /// Runs the timer of all logs during `body`.
    static func withWriter<Value>(_ logs: [Logging], _ body: () async throws -> Value) async throws -> Value {
        let writer = LogFlushTimer(tick: .milliseconds(2))
        for log in logs { writer.add(log.log) }
        defer { for log in logs { writer.remove(log.log) } }
        return try await body()
    }

    // MARK: Batches

    @Test("Events get consecutive positions and keep their order")
    func eventsGetTheirPlacesAndComeInOrder() async throws {
        let session = try await SessionInRedis(.shared())
        let lease = try await session.begin()
        let logging = Logging(session, lease)
        try await Self.withWriter([logging]) {
            #expect(logging.say("a", "b") == 1)
            try await eventually("the first batch is written") { try await session.tokens(step: lease.step) == ["a", "b"] }
            #expect(logging.say("c") == 3)
            try await eventually("the second is") { try await session.tokens(step: lease.step) == ["a", "b", "c"] }
            #expect(try await session.entries(step: lease.step).map(\.lastSequence) == [2, 3])
            #expect(logging.say(0..<1000) == 4)
            #expect(logging.say("z") == 1004)
            try await eventually("all is written") { try await session.tokens(step: lease.step).count == 1004 }
            #expect(try await session.tokens(step: lease.step) == ["a", "b", "c"] + (0..<1000).map(String.init) + ["z"])
        }
        #expect(logging.lost.isEmpty)
        let rest = await logging.log.close()
        #expect(rest.isEmpty)
        #expect(rest.nextSequence == 1005)
    }

    @Test("A full batch is written without waiting for the timer")
    func aFullBatchDoesNotWaitForTheClock() async throws {
        let session = try await SessionInRedis(.shared())
        let lease = try await session.begin()
        let logging = Logging(session, lease, interval: .seconds(3600), batch: 10)
        logging.say(0..<9)
        logging.say(9..<10)
        try await eventually("it is written without a clock") { try await session.tokens(step: lease.step).count == 10 }
        // A smaller batch waits.
        logging.say(10..<15)
        #expect(await logging.log.close().count == 5)
    }

    /// Each failure puts the batch back. If every token caused a retry, each retry would make the
    /// next token slower.
    @Test("A full batch that failed waits for the timer")
    func aFullBatchThatHasFailedWaitsForTheClock() async throws {
        let redis = try await RedisServer.start()
        let session = try await SessionInRedis(redis)
        let lease = try await session.begin()
        let logging = Logging(session, lease, interval: .zero, batch: 5)
        // A record of activity that is due would also be refused.
        await session.store.activity.flush()
        try redis.cli("CONFIG", "SET", "min-replicas-to-write", "1")
        logging.say(0..<5)
        try await eventually("it was refused") { try redis.refusals() == 1 }
        for number in 5..<15 {
            logging.say(number..<number + 1)
            // This command runs after the commands of the log, on the same connection.
            #expect(try await session.entries(step: lease.step).isEmpty)
        }
        #expect(try redis.refusals() == 1)
        logging.log.tick(now: .now)
        try await eventually("the clock tries again") { try redis.refusals() == 2 }
        try redis.cli("CONFIG", "SET", "min-replicas-to-write", "0")
        try await eventually("all is written") {
            logging.log.tick(now: .now)
            return try await session.tokens(step: lease.step) == (0..<15).map(String.init)
        }
    }

    @Test("At most one append is in flight, and later events share the next entry")
    func atMostOneAppendIsUnderWay() async throws {
        let redis = try await RedisServer.start()
        let session = try await SessionInRedis(redis)
        let lease = try await session.begin()
        let logging = Logging(session, lease, interval: .zero, batch: 5)
        try await session.holdWrites()
        logging.say(0..<5)
        try await eventually("the first waits in Redis") { try redis.waiting() == 1 }
        for number in 5..<105 {
            logging.say(number..<number + 1)
            logging.log.tick(now: .now)
        }
        #expect(try redis.waiting() == 1)
        try redis.letWritesGo()
        try await eventually("all is written") {
            logging.log.tick(now: .now)
            return try await session.tokens(step: lease.step).count == 105
        }
        #expect(try await session.entries(step: lease.step).map(\.lastSequence) == [5, 105])
        try await redis.stop()
    }

    @Test("The flush interval grows with the number of entries")
    func theIntervalGrowsWithTheEntries() {
        #expect(
            [0, 4999, 5000, 9999, 10_000, 15_000, 39_999, 40_000, 10_000_000].map { EventLogWriter.slowdown(entries: $0) } == [
                1, 1, 2, 2, 4, 8, 128, 256, 256,
            ])
    }

    @Test("Many steps share one timer")
    func manyStepsShareOneClock() async throws {
        let redis = try await RedisServer.shared()
        var sessions: [(SessionInRedis, StepLease, Logging)] = []
        for _ in 0..<10 {
            let session = try await SessionInRedis(redis)
            let lease = try await session.begin()
            sessions.append((session, lease, Logging(session, lease)))
        }
        try await Self.withWriter(sessions.map(\.2)) {
            for number in 0..<50 { for (_, _, logging) in sessions { logging.say("\(number)") } }
            for (session, lease, _) in sessions {
                try await eventually("each has all of its own") { try await session.tokens(step: lease.step) == (0..<50).map(String.init) }
            }
        }
    }

    @Test("The timer handles a log that is removed or added late")
    func aLogThatWasTakenOutOrComesLateIsHandledByTheClock() async throws {
        let redis = try await RedisServer.shared()
        let (one, two) = (try await SessionInRedis(redis), try await SessionInRedis(redis))
        let leases = (try await one.begin(), try await two.begin())
        let (first, second) = (Logging(one, leases.0), Logging(two, leases.1))
        let writer = LogFlushTimer(tick: .milliseconds(2))
        first.say("x")
        writer.add(first.log)
        try await eventually("the first is written") { try await one.tokens(step: leases.0.step) == ["x"] }
        writer.remove(first.log)
        first.say("y")
        writer.add(second.log)
        second.say("z")
        try await eventually("the second is written") { try await two.tokens(step: leases.1.step) == ["z"] }
        #expect(await first.log.close().count == 1)
        // The timer stops when the last log ends, and runs again for the next log.
        writer.remove(second.log)
        second.say("a")
        writer.add(second.log)
        try await eventually("the second is written again") { try await two.tokens(step: leases.1.step) == ["z", "a"] }
        writer.remove(second.log)
    }

    @Test("More logs than one tick writes are written in turns")
    func manyLogsAreWrittenInParts() async throws {
        let redis = try await RedisServer.shared()
        var sessions: [(SessionInRedis, StepLease, Logging)] = []
        let first = try await SessionInRedis(redis)
        for _ in 0..<200 {
            let session = SessionInRedis(beside: first)
            let lease = try await session.begin()
            sessions.append((session, lease, Logging(session, lease)))
        }
        try await Self.withWriter(sessions.map(\.2)) {
            for (_, _, logging) in sessions { logging.say("a") }
            for (session, lease, _) in sessions {
                try await eventually("each has its turn") { try await session.tokens(step: lease.step) == ["a"] }
            }
        }
    }

    /// All replicas of a machine tick at the same moments. Replicas with many steps tick at every
    /// second moment.
    @Test("All replicas tick on one grid of time", arguments: [(0, 2), (1, 1)], [1, 2, 4, 6])
    func ticksAreOnOneGrid(round: (manySteps: Int, ticks: UInt64), parts: UInt64) {
        let writer = LogFlushTimer(tick: .milliseconds(30), manySteps: round.manySteps)
        let grid = 30_000_000 * round.ticks / parts
        for now in [0, 1, grid - 1, grid, grid + 1, 7_777_777_777] as [UInt64] {
            let next = writer.nextTick(after: .uptimeNanoseconds(now), parts: Int(parts)).uptimeNanoseconds
            #expect(next > now && next <= now + grid && next % grid == 0)
        }
    }

    /// On a Cluster, each request for a connection may return another connection, and so may each
    /// event loop.
    @Test("The timer releases a log, no matter who removes it", arguments: [SharedRedis.single, .sentinel, .cluster])
    func theClockLetsGoOfALogWhoeverTakesItOut(topology: SharedRedis)
        async throws
    {
        let store = try await topology.configuration().store()
        let session = SessionID.unique()
        let message = ChatMessage.user(content: ByteBuffer(string: #""hello""#))
        guard case .started(let started) = try await store.begin(BeginStep(session: session, input: .user(message))) else {
            throw NeverHappened(description: "the step begins")
        }
        let writer = LogFlushTimer(tick: .milliseconds(2))
        let log = EventLogWriter(store: store, lease: started.lease, interval: .zero, batchLimit: 512) { _, _ in }
        for loop in Array(MultiThreadedEventLoopGroup.singleton.makeIterator())
            + Array(MultiThreadedEventLoopGroup.singleton.makeIterator())
        {
            writer.add(log)
            #expect(writer.count == 1)
            try await loop.submit { writer.remove(log) }.get()
            #expect(writer.count == 0)
        }
        store.client.shutDown()
    }

    // MARK: The lease

    @Test("A silent step renews its lease")
    func silenceRenewsTheLease() async throws {
        let session = try await SessionInRedis(.shared(), lease: .milliseconds(600))
        let lease = try await session.begin()
        let first = try #require(Int(try session.state("lease_until")))
        let logging = Logging(session, lease)
        try await Self.withWriter([logging]) {
            try await eventually("the lease moves on, again and again") {
                // More than two leases have passed: without a renewal, the lease would have run
                // out.
                let until = try #require(Int(try session.state("lease_until")))
                return until > first + 1200
            }
        }
        #expect(try await session.entries(step: lease.step).isEmpty)
        #expect(logging.lost.isEmpty)
        // The owner moves the sweeper's hint with the lease.
        let hint = try #require(Double(try session.redis.cli("ZSCORE", session.keys.running, session.id.text)))
        #expect(hint > Double(first) + 1200)
    }

    @Test("A lost lease is reported once", arguments: [true, false])
    func aLossIsToldOnce(isSilent: Bool) async throws {
        let session = try await SessionInRedis(.shared(), lease: .milliseconds(300))
        let lease = try await session.begin()
        let logging = Logging(session, lease)
        try await Self.withWriter([logging]) {
            if !isSilent { logging.say("mine") }
            if !isSilent { try await eventually("it is written") { try await session.tokens(step: lease.step) == ["mine"] } }
            let other = try await session.seize(lease.step)
            if !isSilent { logging.say("too late") }
            try await eventually("the loss is told") { !logging.lost.isEmpty }
            // Further batches are not written, and do not report the loss again.
            for _ in 0..<20 {
                logging.say("too late")
                logging.log.tick(now: .now.advanced(by: .seconds(10)))
            }
            _ = await logging.log.close()
            #expect(logging.lost == [.lost(step: other.step, intent: "")])
            #expect(try await session.tokens(step: other.step).isEmpty)
        }
        #expect(try await session.tokens(step: lease.step) == (isSilent ? [] : ["mine"]))
    }

    @Test("A deleted session is reported as a loss without an owner")
    func aDeletedSessionIsALossToNobody() async throws {
        let session = try await SessionInRedis(.shared(), lease: .milliseconds(300))
        let lease = try await session.begin()
        let logging = Logging(session, lease)
        #expect(try await session.store.delete(session.id))
        try await Self.withWriter([logging]) {
            logging.say("x")
            try await eventually("the loss is told") { logging.lost == [.lost(step: 0, intent: "")] }
        }
        // No key of the session exists again.
        #expect(try session.redis.cli("EXISTS", session.keys.events, session.keys.state, session.keys.history) == "0")
    }

    // MARK: Failures

    /// Redis goes down and returns with its data. The next batch includes the events that could not
    /// be written.
    @Test("An outage of Redis loses and doubles no event")
    func whileRedisIsAwayNothingIsLostOrDoubled() async throws {
        let durable = ["--appendonly", "yes", "--appendfsync", "always"]
        let redis = try await RedisServer.start(durable)
        let session = try await SessionInRedis(redis)
        let lease = try await session.begin()
        let logging = Logging(session, lease)
        try await Self.withWriter([logging]) {
            var said = 0
            func say(_ count: Int) {
                for _ in 0..<count {
                    logging.say("\(said)")
                    said += 1
                }
            }
            say(100)
            try await eventually("the first are written") { try await session.tokens(step: lease.step).count == 100 }
            // The outage begins during writes, so that replies are lost, too.
            let writing = Task {
                for number in 100..<400 {
                    logging.say("\(number)")
                    try await Task.sleep(for: .microseconds(200))
                }
            }
            try await eventually("some more are written") { try await session.tokens(step: lease.step).count > 120 }
            try await redis.kill()
            try await writing.value("everything is said")
            said = 400
            say(100)
            try FileManager.default.removeItem(atPath: redis.socket)
            let again = try await RedisServer.start(durable, directory: redis.directory, port: redis.port)
            say(100)
            try await eventually("all is written") { (try? await session.tokens(step: lease.step).count) == 600 }
            #expect(try await session.tokens(step: lease.step) == (0..<600).map(String.init))
            // After a lost reply, an entry may repeat events. Entries never skip events.
            var last = 0
            for entry in try await session.entries(step: lease.step) {
                #expect(entry.lastSequence > last)
                #expect(entry.lastSequence - entry.fields.count <= last)
                last = entry.lastSequence
            }
            #expect(last == 600)
            try await again.stop()
        }
        #expect(logging.lost.isEmpty)
    }

    @Test("Closing returns the unwritten events")
    func closeGivesBackWhatIsNotWritten() async throws {
        let redis = try await RedisServer.start()
        let session = try await SessionInRedis(redis)
        let lease = try await session.begin()
        let logging = Logging(session, lease, interval: .seconds(3600), batch: 3)
        logging.say(0..<3)
        try await eventually("the first batch is written") { try await session.tokens(step: lease.step).count == 3 }
        // One append is in flight, and two batches wait for it.
        try await session.holdWrites()
        logging.say(3..<6)
        try await eventually("it waits in Redis") { try redis.waiting() == 1 }
        logging.say(6..<8)
        let closing = Task { await logging.log.close() }
        try redis.letWritesGo()
        let rest = try await closing.value("the log is closed")
        #expect(rest.firstSequence == 7)
        #expect(rest.count == 2)
        #expect(try await session.tokens(step: lease.step).count == 6)
        // After that, the log writes nothing on its own.
        logging.say(8..<30)
        logging.log.tick(now: .now.advanced(by: .seconds(7200)))
        #expect(await logging.log.close().count == 22)
        try await redis.stop()
    }

    @Test("Closing returns the events that Redis refused")
    func closeGivesBackWhatCouldNotBeWritten() async throws {
        let redis = try await RedisServer.start()
        let session = try await SessionInRedis(redis)
        let lease = try await session.begin()
        let logging = Logging(session, lease, interval: .seconds(3600), batch: 3)
        try await redis.kill()
        logging.say(0..<3)
        logging.say(3..<5)
        let rest = try await Task { await logging.log.close() }.value("the append fails")
        #expect(rest.firstSequence == 1)
        #expect(rest.count == 5)
        #expect(logging.lost.isEmpty)
    }
}
