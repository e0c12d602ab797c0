import Foundation
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import AgentService
@testable import LanguageModels
@testable import SessionStore
@testable import agent_server

/// The viewers share one replica, and use a Redis of their own.
@Suite("Many viewers of one session", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct LogFeedTests {
    private let redis: RedisServer

    init() async throws { redis = try await RedisServer.start() }

    /// Viewers that share a feed. `takeOvers` is the number of requests to take a lost step over.
    private final class Viewers: Sendable {
        let feeds = LogFeeds()
        let takeOvers = Atomic<Int>(0)
        let session: SessionInRedis

        init(_ session: SessionInRedis) { self.session = session }

        func join(
            _ stream: ClientStream, stopSignal: StopSignal = StopSignal(), tick: Duration = .seconds(3600),
            from position: LogPosition? = nil
        ) -> Task<Void, Never> {
            let follower = LogFollower(
                store: session.store, session: session.id, requester: .tenant, stopSignal: stopSignal, stream: stream,
                position: position ?? .beginning(of: 1),
                followsSession: true, tick: tick, feeds: feeds, onOrphan: { _ in self.takeOvers.wrappingAdd(1, ordering: .relaxed) })
            return Task {
                await follower.run()
                stream.finish()
            }
        }
    }

    private func reads() throws -> Int {
        let stats = try redis.cli("INFO", "commandstats")
        return stats.firstMatch(of: /cmdstat_xrange:calls=([0-9]+)/).flatMap { Int($0.output.1) } ?? 0
    }

    /// Begins a step, and returns a function that adds events to it.
    private func step() async throws -> (SessionInRedis, say: (_ first: Int, _ text: String) throws -> Void) {
        let session = try await SessionInRedis(redis, lease: .seconds(60))
        _ = try await session.begin()
        let (redis, keys) = (redis, session.keys)
        return (
            session,
            { number, text in
                try redis.cli(
                    "XADD", keys.events, "1-\(number)", text == "done" ? "done" : "token", text == "done" ? SessionInRedis.done : text)
                try redis.cli("PUBLISH", keys.wake, "1")
            }
        )
    }

    @Test("A hundred viewers cost Redis as many reads as one viewer")
    func aHundredViewersCostWhatOneCosts() async throws {
        var costs: [Int] = []
        for count in [1, 100] {
            let (session, say) = try await step()
            let viewers = Viewers(session)
            let listeners = (0..<count).map { _ in Listener() }
            for listener in listeners { _ = viewers.join(listener.stream) }
            try say(1, "first ")
            try await eventually("all have caught up") { try listeners.allSatisfy { try $0.tokens() == "first " } }
            let before = try reads()
            var text = "first "
            for number in 2...41 {
                try say(number, "t\(number) ")
                text += "t\(number) "
                try await eventually("the last one is told") { try listeners[count - 1].tokens() == text }
            }
            costs.append(try reads() - before)
            try say(42, "done")
            for listener in listeners { #expect(try await listener.all().compactMap(\.data["token"].string).joined() == text) }
            #expect(try Set(listeners.map { try $0.soFar().map(\.description) }).count == 1)
        }
        // Some viewers read once on their own after they had joined.
        #expect(costs[1] <= costs[0] + 100, "\(costs)")
    }

    /// The viewer that reads for the others may leave, too.
    @Test("Viewers that join and leave at random get every event from their position on", arguments: 0..<4)
    func viewersComeAndGo(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let (session, say) = try await step()
        let viewers = Viewers(session)
        let nonce = try session.state("nonce")
        var listeners: [(listener: Listener, from: Int)] = []
        var gone: [Listener] = []
        for number in 1...60 {
            if Int.random(in: 0..<2, using: &random) == 0 {
                let listener = Listener()
                let from = Int.random(in: 0..<number, using: &random)
                let id = EventID(step: 1, sequence: from, nonce: nonce)
                _ = viewers.join(listener.stream, from: from == 0 ? .beginning(of: 1) : .after(id))
                listeners.append((listener, from))
            }
            if listeners.count > 3, Int.random(in: 0..<3, using: &random) == 0 {
                let left = listeners.remove(at: Int.random(in: 0..<listeners.count, using: &random)).listener
                left.stream.close()
                gone.append(left)
            }
            try say(number, "t\(number) ")
        }
        try say(61, "done")
        for (listener, from) in listeners {
            let told = try await listener.all()
            #expect(told.map(\.id) == (from + 1...61).map { "1-\($0).\(nonce)" }, "seed \(seed), from \(from)")
        }
        for listener in gone { _ = try await listener.all() }
        try await eventually("nobody listens") { try redis.lines("PUBSUB", "NUMSUB", session.keys.wake).last == "0" }
    }

    /// The other viewers do not wait for a tick of the timer.
    @Test("Another viewer takes over reading at once when the reading viewer leaves")
    func theReaderHandsOver() async throws {
        let (session, say) = try await step()
        let viewers = Viewers(session)
        let listeners = (0..<5).map { _ in Listener() }
        for listener in listeners { _ = viewers.join(listener.stream) }
        var text = ""
        for (index, listener) in listeners.dropLast().enumerated() {
            text += "t\(index) "
            try say(index + 1, "t\(index) ")
            try await eventually("those who are there are told") { try listeners[index...].allSatisfy { try $0.tokens() == text } }
            listener.stream.close()
        }
        try say(5, "done")
        #expect(try await listeners[4].all().last?.name == "done")
    }

    @Test("A slow viewer delays no other viewer and gets everything later")
    func aSlowViewerHoldsUpNobody() async throws {
        let (session, say) = try await step()
        let viewers = Viewers(session)
        let (slow, quick) = (ClientStream(encoder: NativeEncoder(), limit: 4000), Listener())
        _ = viewers.join(slow)
        _ = viewers.join(quick.stream)
        let word = String(repeating: "w", count: 1000)
        for number in 1...300 { try say(number, word) }
        try say(301, "done")
        #expect(try await quick.all().count == 301)
        #expect(slow.isOpen && slow.isBehind)
        var text = ""
        while let bytes = await slow.next() { text += String(buffer: bytes) }
        #expect(text.components(separatedBy: "\n\n").dropLast().count == 301)
    }

    @Test("One viewer of a lost step has it taken over")
    func aLostStepIsTakenOverOnce() async throws {
        let (session, _) = try await step()
        let viewers = Viewers(session)
        let listeners = (0..<50).map { _ in Listener() }
        for listener in listeners { _ = viewers.join(listener.stream) }
        try await eventually("all wait") { try reads() >= 50 }
        try session.expire()
        try redis.cli("PUBLISH", session.keys.wake, "1")
        try await eventually("one has noticed") { viewers.takeOvers.load(ordering: .relaxed) > 0 }
        // After the takeover, the step has an owner and finally ends.
        let lease = try await session.seize(1)
        try await session.commit(lease, saying: "from elsewhere")
        for listener in listeners { #expect(try await listener.all().done["status"] == "completed") }
        #expect(viewers.takeOvers.load(ordering: .relaxed) <= 5)
    }

    @Test("A stopping replica sends all viewers to another replica")
    func allAreSentElsewhereWhenTheReplicaStops() async throws {
        let (session, say) = try await step()
        let viewers = Viewers(session)
        let stopSignal = StopSignal()
        let listeners = (0..<20).map { _ in Listener() }
        for listener in listeners { _ = viewers.join(listener.stream, stopSignal: stopSignal) }
        try say(1, "x")
        try await eventually("all are told") { try listeners.allSatisfy { try $0.tokens() == "x" } }
        stopSignal.stop(.draining)
        for listener in listeners {
            _ = try await listener.all()
            #expect(listener.text.hasSuffix("retry: 100\n\n"))
        }
    }

    @Test("All viewers learn that the session was deleted")
    func aDeletedSessionIsToldToAll() async throws {
        let (session, say) = try await step()
        let viewers = Viewers(session)
        let listeners = (0..<20).map { _ in Listener() }
        for listener in listeners { _ = viewers.join(listener.stream) }
        try say(1, "x")
        try await eventually("all are told") { try listeners.allSatisfy { try $0.tokens() == "x" } }
        #expect(try await session.store.delete(session.id))
        for listener in listeners { #expect(try await listener.all().error["code"] == "session_deleted") }
    }

    @Test("The feed drops cached events after a Redis failover reuses a number")
    func whatIsHeldOfAnotherLogIsNotTold() async throws {
        let (session, say) = try await step()
        let viewers = Viewers(session)
        let listeners = (0..<5).map { _ in Listener() }
        for listener in listeners { _ = viewers.join(listener.stream) }
        try say(1, "old1 ")
        try say(2, "old2 ")
        try await eventually("all are told") { try listeners.allSatisfy { try $0.tokens() == "old1 old2 " } }
        let keys = session.keys
        try redis.cli("DEL", keys.events)
        try redis.cli("HSET", keys.state, "nonce", "zzzz")
        try redis.cli("XADD", keys.events, "1-0", "nonce", "zzzz")
        try say(1, "new1 ")
        try await eventually("all begin again") { try listeners.allSatisfy { try $0.tokens() == "old1 old2 new1 " } }
        try say(2, "new2 ")
        try say(3, "done")
        for listener in listeners {
            let told = try await listener.all()
            #expect(told.map(\.name) == ["message", "message", "restart", "message", "message", "done"])
            #expect(told.tokens == "old1 old2 new1 new2 ")
        }
    }
}
