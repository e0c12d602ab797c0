import Foundation
import SessionStore
import Synchronization
import TestSupport
import Testing

/// A new version is rolled out while people talk: every replica is stopped and started once.
@Suite(.timeLimit(.minutes(5))) struct RollingRestartTests {
    /// The replicas as a load balancer sees them.
    private final class Fleet: Sendable {
        private let clients: Mutex<[AgentClient]>
        /// Whether all of them are new.
        let isRolledOut = Atomic(false)
        /// Answers that began on one replica and ended on another.
        let handedOver = Atomic(0)

        init(_ replicas: [Replica]) {
            clients = Mutex(replicas.map(\.client))
        }

        func any() -> AgentClient? { clients.withLock { $0.randomElement() } }
        func replace(_ index: Int, with replica: Replica) { clients.withLock { $0[index] = replica.client } }
    }

    /// I1, I2, I6: no answer is lost, and none is given twice.
    @Test func aRollingRestartLosesNoAnswer() async throws {
        let redis = try await RedisServer.start()
        let words = (0..<12).map { "word \($0), " }
        let upstream = try await Upstream.start { request in
            var answer = UpstreamAnswer.text(words + ["answer to ", request.lastContent])
            for place in stride(from: answer.parts.count - 4, to: 0, by: -1) {
                answer = answer.inserting(.pause(.milliseconds(30)), after: place)
            }
            return answer
        }
        // Without time to finish: what runs is handed over.
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
                        #expect(answer.content == words.joined() + "answer to question \(count)")
                        #expect(answer.done["status"] == "completed" && answer.done["history_length"].int == 1 + 2 * count)
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

    /// What a gateway does: sends the request, and where no whole answer comes, sends it again elsewhere with the same key.
    private static func ask(_ text: String, in session: SessionID, of fleet: Fleet) async throws -> Answer {
        var whole: Answer?
        try await eventually("\(text) is answered", timeout: .seconds(30)) {
            guard let client = fleet.any() else { return false }
            guard let answer = try? await client.say(text, in: session.text, headers: ["Idempotency-Key": text]) else { return false }
            guard answer.status == 200 else {
                #expect(answer.status == 503, "\(answer.text)")
                return false
            }
            guard !answer.done.isNull else { return false }
            whole = answer
            return true
        }
        guard let whole else { throw NeverHappened(description: text) }
        return whole
    }
}
