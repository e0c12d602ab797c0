import Foundation
import Locks
import SessionStore
import Synchronization
import TestSupport
import Testing

/// Deploys a new version under load: every replica is stopped and started once.
@Suite("Rolling restarts", .tags(.processes), .serialized, .timeLimit(.minutes(5)))
struct RollingRestartTests {
    /// The replicas, from which a load balancer picks.
    private final class Fleet: Sendable {
        private let clients: Guarded<[AgentClient]>
        /// Whether all replicas have been restarted.
        let isRolledOut = Atomic(false)
        /// The number of completions that began on one replica and ended on another.
        let handedOver = Atomic(0)

        init(_ replicas: [Replica]) {
            clients = Guarded(replicas.map(\.client))
        }

        func any() -> AgentClient? { clients.withLock { $0.randomElement() } }
        func replace(_ index: Int, with replica: Replica) { clients.withLock { $0[index] = replica.client } }
    }

    @Test("A rolling restart loses and doubles no completion (I1, I2, I5, I6)")
    func aRollingRestartLosesNoAnswer() async throws {
        let redis = try await RedisServer.start()
        let words = (0..<12).map { "word \($0), " }
        let upstream = try await Upstream.start { request in
            var answer = UpstreamAnswer.text(words + ["answer to ", request.lastContent])
            for place in stride(from: answer.parts.count - 4, to: 0, by: -1) {
                answer = answer.inserting(.pause(.milliseconds(30)), after: place)
            }
            return answer
        }
        // The drain time is zero, so that the replica releases its steps.
        let settings = ["AGENT_RUNTIME__DRAIN_SECONDS": "0", "AGENT_RUNTIME__LEASE_MS": "1000"]
        func replica(_ index: Int) async throws -> Replica {
            try await Replica.start(redis: redis.url, upstream: upstream.url, name: "replica-\(index)", environment: settings)
        }
        var replicas: [Replica] = []
        for index in 0..<3 { replicas.append(try await replica(index)) }
        let fleet = Fleet(replicas)
        let sessions = (0..<12).map { _ in SessionID.unique() }

        try await withThrowingTaskGroup(of: Void.self) { group in
            for session in sessions {
                group.addTask {
                    var count = 0
                    while !fleet.isRolledOut.load(ordering: .relaxed) || count == 0 {
                        count += 1
                        let answer = try await Self.ask("question \(count)", in: session, of: fleet)
                        #expect(answer.text == words.joined() + "answer to question \(count)")
                        let done = answer.events.last?.data ?? .null
                        #expect(done["status"] == "completed" && done["history_length"].int == 1 + 2 * count)
                        // The client gets every event once, and in order (I5).
                        let ids = answer.events.compactMap { $0.id.flatMap { EventID($0) } }
                        #expect(ids == ids.sorted() && Set(ids).count == ids.count)
                        if answer.events.contains(where: { $0.name == "restart" }) { fleet.handedOver.add(1, ordering: .relaxed) }
                    }
                    let history = try redis.history(session)
                    #expect(Conversation.violation(history) == nil)
                    #expect(history.count == 1 + 2 * count)
                }
            }
            for index in replicas.indices {
                #expect(try await replicas[index].stop() == 0)
                replicas[index] = try await replica(index + 3)
                fleet.replace(index, with: replicas[index])
            }
            fleet.isRolledOut.store(true, ordering: .relaxed)
            try await group.waitForAll()
        }
        #expect(fleet.handedOver.load(ordering: .relaxed) > 0)
        #expect(upstream.violations.isEmpty)
    }

    /// Sends a request as a gateway does: if the stream breaks, it repeats the request on another
    /// replica, with the same key and the last event's id.
    ///
    /// - Returns: The text of the deltas that are not void, and every event.
    private static func ask(_ text: String, in session: SessionID, of fleet: Fleet) async throws -> (text: String, events: [ReceivedEvent])
    {
        let body = AgentClient.body(session.text, ["content": .string(text)])
        var events: [ReceivedEvent] = []
        try await eventually("\(text) is answered", timeout: .seconds(30)) {
            var headers = ["Idempotency-Key": text]
            headers["Last-Event-ID"] = events.last { $0.id != nil }?.id
            guard let client = fleet.any(), var open = try? await client.open(body, headers: headers) else { return false }
            guard open.status == 200 else {
                #expect(open.status == 503)
                return false
            }
            // If the connection breaks, its replica has stopped.
            while let event = try? await open.next() { events.append(event) }
            return events.last?.name == "done"
        }
        let valid = events[(events.lastIndex { $0.name == "restart" } ?? 0)...]
        return (valid.compactMap { $0.data["token"].string }.joined(), events)
    }
}
