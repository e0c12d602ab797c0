import Foundation
import SessionStore
import TestSupport
import Testing

/// Real processes run steps on one Redis with one model.
@Suite("Killed, paused and stopped replicas", .tags(.processes), .serialized, .timeLimit(.minutes(5)))
struct FailoverTests {
    static let lease = Duration.seconds(1)
    let redis: RedisServer
    let upstream: Upstream

    init() async throws {
        redis = try await RedisServer.start()
        upstream = try await Upstream.start()
    }

    private func replica(_ name: String, _ environment: [String: String] = [:]) async throws -> Replica {
        try await Replica.start(
            redis: redis.url, upstream: upstream.url, name: name,
            environment: ["AGENT_RUNTIME__LEASE_MS": "1000"].merging(environment) { $1 })
    }

    private func state(_ session: SessionID, _ field: String) throws -> String {
        try redis.cli("HGET", RedisKeys(session).state, field)
    }

    /// The completion stops after its first words until the gate opens. For a repeated request, the
    /// model sends the whole completion at once.
    private func answerOnceHalf(_ gate: Gate) {
        let upstream = upstream
        upstream.answer { _ in
            upstream.requests.count == 1
                ? .text("half an", " answer").inserting(.gate(gate), after: 2) : .text("a whole", " answer")
        }
    }

    /// Afterwards the history contains one message and one completion.
    @Test("Another replica finishes a killed replica's step within a lease and a second (I2, I3, I6)")
    func theStepOfAKilledReplicaIsFinishedByAnother() async throws {
        let gate = Gate()
        answerOnceHalf(gate)
        let (one, two) = (try await replica("one"), try await replica("two"))
        let session = SessionID.unique()
        let headers = ["Idempotency-Key": "k"]
        let body = AgentClient.body(session.text, ["content": "hello"])
        var open = try await one.client.open(body, headers: headers)
        try await open.next { $0.data["token"].string == "half an" }
        try await one.kill()
        let killed = ContinuousClock.now
        try await eventually("it is answered") { try redis.history(session).last?["content"] == "a whole answer" }
        #expect(ContinuousClock.now - killed < Self.lease + .seconds(1))
        #expect(try redis.history(session).map { $0["role"] } == ["system", "user", "assistant"])
        #expect(try state(session, "owner") == "two" && state(session, "attempt") == "2")
        // The client's repeated request gets the whole stream.
        let again = try await two.client.post(body, headers: headers)
        #expect(again.content == "a whole answer" && again.done["status"] == "completed")
        #expect(again.events.contains { $0.name == "restart" })
        #expect(upstream.violations.isEmpty)
        gate.open()
    }

    /// The replica continues after its lease has run out, and its client gets the rest of the step.
    @Test("A paused replica writes nothing after its lease and follows the new owner (I3, I5)")
    func aPausedReplicaBecomesItsClientsFollower() async throws {
        let gate = Gate()
        answerOnceHalf(gate)
        let (one, two) = (try await replica("one"), try await replica("two"))
        let session = SessionID.unique()
        var open = try await one.client.open(AgentClient.body(session.text, ["content": "hello"]))
        try await open.next { $0.data["token"].string == "half an" }
        try await one.pause()
        // The replica is paused while its model goes on.
        gate.open()
        try await eventually("it is answered") { try redis.history(session).last?["content"] == "a whole answer" }
        let events = try redis.cli("XRANGE", RedisKeys(session).events, "-", "+")
        one.resume()
        let told = try await open.rest()
        let restart = try #require(told.events.firstIndex { $0.name == "restart" })
        #expect(told.events[restart].data["replaces"] == 1 && told.events[restart].data["step"] == 2)
        #expect(told.events[restart...].allSatisfy { $0.step == 2 })
        #expect(told.events[restart...].compactMap { $0.data["token"].string }.joined() == "a whole answer")
        #expect(told.content == "a whole answer" && told.done["status"] == "completed")
        #expect(try redis.history(session).map { $0["role"] } == ["system", "user", "assistant"])
        #expect(try redis.cli("XRANGE", RedisKeys(session).events, "-", "+") == events)
        // The replica serves requests again.
        #expect(try await one.client.say("again", in: session.text).done["status"] == "completed")
        #expect(try await two.client.say("and again", in: session.text).done["history_length"] == 7)
    }

    /// Each replica that asks the model is killed.
    @Test("A step that ends its replicas costs two of them (I6)")
    func afterTwoReplicasWereLostTheStepFails() async throws {
        let upstream = upstream
        upstream.answer { _ in UpstreamAnswer(parts: [.silence]) }
        let session = SessionID.unique()
        var replicas: [Replica] = []
        for name in ["one", "two", "three", "four"] { replicas.append(try await replica(name)) }
        let headers = ["Idempotency-Key": "k"]
        let body = AgentClient.body(session.text, ["content": "hello"])
        let client = replicas[0].client
        let asking = Task { try? await client.post(body, headers: headers) }
        for attempt in 1...2 {
            try await eventually("attempt \(attempt) is under way") { upstream.requests.count == attempt }
            let owner = try state(session, "owner")
            let index = try #require(replicas.firstIndex { $0.name == owner })
            try await replicas.remove(at: index).kill()
        }
        _ = await asking.value
        try await eventually("it has failed", timeout: .seconds(30)) { try state(session, "status") == "idle" }
        #expect(upstream.requests.count == 2)
        #expect(try redis.history(session).map { $0["role"] } == ["system", "user"])
        let told = try await replicas[0].client.post(body, headers: headers)
        #expect(told.error?["code"] == "takeover_exhausted")
        #expect(told.done["status"] == "failed")
        upstream.answer { _ in .text("fine") }
        #expect(try await replicas[0].client.post(AgentClient.body(session.text, ["type": "retry"])).content == "fine")
    }

    /// No replica can reach Redis for longer than a lease. Their steps go on, and no replica takes
    /// them over.
    @Test("An outage of Redis longer than a lease costs no step")
    func anOutageLongerThanALeaseCostsNothing() async throws {
        let gate = Gate()
        let upstream = upstream
        upstream.answer { _ in UpstreamAnswer.text("half an", " answer").inserting(.gate(gate), after: 2) }
        let (one, two) = (try await replica("one"), try await replica("two"))
        let session = SessionID.unique()
        var open = try await one.client.open(AgentClient.body(session.text, ["content": "hello"]))
        try await open.next { $0.data["token"].string == "half an" }
        try await eventually("it is in the log") { try redis.cli("XLEN", RedisKeys(session).events) == "2" }
        redis.process.signal(SIGSTOP)
        // The outage must last until the lease has run out and both replicas have closed their
        // connections.
        try await eventually("both have noticed") {
            for replica in [one, two] where try await replica.client.get("/health/ready").status != 503 { return false }
            return true
        }
        redis.process.signal(SIGCONT)
        try await eventually("two is ready again") { try await two.client.get("/health/ready").status == 200 }
        gate.open()
        let told = try await open.rest()
        #expect(told.content == "half an answer" && told.done["status"] == "completed")
        #expect(told.events.allSatisfy { $0.step == 1 })
        #expect(try state(session, "fence") == "1")
        #expect(upstream.requests.count == 1)
    }
}
