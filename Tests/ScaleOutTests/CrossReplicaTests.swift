import SessionStore
import TestSupport
import Testing

/// Runs two server processes on one Redis with one model.
@Suite("Turns across replicas", .tags(.processes), .serialized)
struct CrossReplicaTests {
    let redis: RedisServer
    let upstream: Upstream
    let one: Replica
    let two: Replica

    init() async throws {
        let redis = try await RedisServer.shared()
        let upstream = try await Upstream.start()
        async let first = Replica.start(redis: redis.url, upstream: upstream.url, name: "one")
        async let second = Replica.start(redis: redis.url, upstream: upstream.url, name: "two")
        (one, two) = try await (first, second)
        (self.redis, self.upstream) = (redis, upstream)
    }

    @Test("A tool result may arrive on another replica")
    func aToolResultMayArriveOnAnotherReplica() async throws {
        let session = SessionID.unique()
        upstream.answer { request in
            request.messages.last?["role"].string == "tool"
                ? .text("It says ", request.lastContent)
                : .calls((id: "call_1", name: "read_file", arguments: [#"{"path":"#, #""a.txt"}"#]))
        }
        let asked = try await one.client.say("read it", in: session.text)
        #expect(asked.status == 200)
        #expect(asked.replica == "one")
        #expect(
            asked.calls == [
                ["type": "tool_call", "call_id": "call_1", "tool_name": "read_file", "arguments": ["path": "a.txt"], "is_final": true]
            ])
        #expect(asked.done["status"] == "waiting")
        #expect(asked.done["pending_calls"] == ["call_1"])

        let answered = try await two.client.result("the file's text", of: "call_1", in: session.text)
        #expect(answered.replica == "two")
        #expect(answered.content == "It says the file's text")
        #expect(answered.tokens == answered.content)
        #expect(answered.done["status"] == "completed")

        let history = try redis.history(session)
        #expect(history.map { $0["role"].string } == ["system", "user", "assistant", "tool", "assistant"])
        #expect(answered.done["history_length"].int == history.count)
        #expect(Conversation.violation(history) == nil)
        #expect(upstream.violations.isEmpty)
    }

    @Test("Results on two replicas, in any order, lead to one continuation (I1, I2)", arguments: [false, true])
    func parallelCallsAreAnsweredOnTwoReplicas(atOnce: Bool) async throws {
        let session = SessionID.unique()
        upstream.answer { request in
            request.messages.last?["role"].string == "tool"
                ? .text("done")
                : .calls(
                    (id: "call_a", name: "read_file", arguments: [#"{"path":"a"}"#]),
                    (id: "call_b", name: "echo", arguments: [#"{"text":"b"}"#]))
        }
        for round in 1...(atOnce ? 12 : 1) {
            let text = "round \(round)"
            let asked = try await one.client.say(text, in: session.text)
            let ids = asked.calls.compactMap { $0["call_id"].string }
            #expect(ids.count == 2)
            #expect(asked.calls.map { $0["is_final"] } == [false, true])
            guard ids.count == 2 else { return }
            let answers: [Answer]
            if atOnce {
                async let b = two.client.result("B", of: ids[1], in: session.text)
                async let a = one.client.result("A", of: ids[0], in: session.text)
                answers = try await [a, b]
            } else {
                let b = try await two.client.result("B", of: ids[1], in: session.text)
                #expect(b.events.count == 1)
                #expect(b.done["pending_calls"] == [.string(ids[0])])
                answers = [try await one.client.result("A", of: ids[0], in: session.text), b]
            }
            let statuses = answers.compactMap { $0.done["status"].string }.sorted()
            #expect(statuses == ["completed", "waiting"], "\(answers.map(\.text))")
        }
        let history = try redis.history(session)
        #expect(Conversation.violation(history) == nil)
        #expect(upstream.violations.isEmpty)
        let continuations = history.filter { $0["content"] == "done" }
        #expect(continuations.count == (atOnce ? 12 : 1))
    }
}
