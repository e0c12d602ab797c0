import SessionStore
import TestSupport
import Testing

/// Two server processes write to one session at the same time.
@Suite("One session on two replicas", .tags(.processes), .serialized)
struct SharedHistoryTests {
    let redis: RedisServer
    let upstream: Upstream
    let replicas: [Replica]

    init() async throws {
        let redis = try await RedisServer.shared()
        let upstream = try await Upstream.start { .text("answer to ", $0.lastContent) }
        async let one = Replica.start(redis: redis.url, upstream: upstream.url, name: "one")
        async let two = Replica.start(redis: redis.url, upstream: upstream.url, name: "two")
        replicas = try await [one, two]
        (self.redis, self.upstream) = (redis, upstream)
    }

    /// Each replica writes 500 of the 1,000 messages, and each message waits until the running step
    /// has ended.
    @Test("Two replicas write a thousand messages to one history in valid order (I1, I2, I3)")
    func aThousandMessagesByTwoReplicas() async throws {
        let session = SessionID.unique()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (number, replica) in replicas.enumerated() {
                group.addTask {
                    for index in 0..<250 {
                        let text = "\(number)-\(index)"
                        // Each replica adds 250 messages and 250 completions.
                        let answer = try await replica.client.say(
                            text, in: session.text, ["on_conflict": "wait"], headers: ["Idempotency-Key": text])
                        #expect(answer.status == 200, "\(answer.text)")
                        #expect(answer.content == "answer to \(text)")
                    }
                }
            }
            try await group.waitForAll()
        }
        let history = try redis.history(session)
        #expect(history.count == 1001)
        #expect(Conversation.violation(history) == nil)
        let said = history.filter { $0["role"] == "user" }.compactMap { $0["content"].string }
        #expect(Set(said).count == 500 && said.count == 500)
        for (index, message) in history.enumerated() where message["role"] == "user" {
            #expect(history[index + 1]["content"].string == "answer to \(message["content"].string ?? "")")
        }
        #expect(upstream.violations.isEmpty)
    }

    @Test("The same key on two replicas at once leads to one message (I2)")
    func oneKeyOnTwoReplicasAtTheSameInstant() async throws {
        for round in 0..<10 {
            let session = SessionID.unique()
            let headers = ["Idempotency-Key": "k"]
            async let one = replicas[0].client.say("hello", in: session.text, headers: headers)
            async let two = replicas[1].client.say("hello", in: session.text, headers: headers)
            let answers = try await [one, two]
            for answer in answers {
                #expect(answer.status == 200, "round \(round): \(answer.text)")
                #expect(answer.content == "answer to hello")
                #expect(answer.done["status"] == "completed")
            }
            #expect(answers[0].events == answers[1].events)
            #expect(try redis.history(session).count == 3)
        }
    }

    /// A balancer repeats a request after its replica was lost.
    @Test("A repeated message gets the completion of a replica that was killed afterwards")
    func theAnswerOfAReplicaThatWasKilledAfterIt() async throws {
        let session = SessionID.unique()
        let headers = ["Idempotency-Key": "k"]
        let first = try await replicas[0].client.say("hello", in: session.text, headers: headers)
        try await replicas[0].kill()
        let again = try await replicas[1].client.say("hello", in: session.text, headers: headers)
        #expect(again.events == first.events)
        #expect(again.replica == "two")
        #expect(try redis.history(session).count == 3)
    }
}
