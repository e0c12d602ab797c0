import SessionStore
import TestSupport
import Testing

/// Two server processes follow a running step.
@Suite("Viewers on two replicas", .tags(.processes), .serialized, .timeLimit(.minutes(3)))
struct FollowTests {
    let redis: RedisServer
    let upstream: Upstream

    init() async throws {
        redis = try await RedisServer.start()
        upstream = try await Upstream.start()
    }

    /// - Parameter tick: Milliseconds between two polls of the log without a wake-up. With the
    ///   default, the test ends before the first poll.
    func replicas(tick: Int = 60_000, user: String? = nil) async throws -> [Replica] {
        // A follower also polls when the lease should have been renewed.
        let environment = ["AGENT_RUNTIME__FOLLOW_TICK_MS": "\(tick)", "AGENT_RUNTIME__LEASE_MS": "120000"]
        let url = user.map { "redis://\($0):secret@127.0.0.1:\(redis.port)" } ?? redis.url
        async let one = Replica.start(redis: url, upstream: upstream.url, name: "one", environment: environment)
        async let two = Replica.start(redis: url, upstream: upstream.url, name: "two", environment: environment)
        return try await [one, two]
    }

    /// The second half of the completion waits for the gate.
    func twoHalves(_ gate: Gate) {
        upstream.answer { _ in
            UpstreamAnswer.text((0..<20).map { "token \($0) " }).inserting(.gate(gate), after: 11)
        }
    }

    func path(_ session: SessionID) -> String { "/agent/sessions/\(session)/stream" }

    /// Each replica subscribes over one connection.
    @Test("A hundred viewers on two replicas see the owner's events as they come (I5)")
    func aHundredViewersOnTwoReplicas() async throws {
        let replicas = try await replicas()
        let session = SessionID.unique()
        let gate = Gate()
        twoHalves(gate)
        var owner = try await replicas[0].client.open(AgentClient.body(session.text, ["content": "hello"]))
        for _ in 0..<10 { _ = try await owner.next() }
        let id = try #require(owner.events.last?.id)
        try await withThrowingTaskGroup(of: [ReceivedEvent].self) { group in
            for index in 0..<100 {
                group.addTask {
                    let headers = index % 4 < 2 ? [:] : ["Last-Event-ID": id]
                    var viewer = try await replicas[index % 2].client.open("GET", path(session), headers: headers)
                    return try await viewer.rest().events
                }
            }
            try await eventually("both replicas listen") {
                try redis.lines("PUBSUB", "NUMSUB", RedisKeys(session).wake).last == "2"
            }
            #expect(try redis.lines("CLIENT", "LIST", "TYPE", "pubsub").count { !$0.isEmpty } == 2)
            gate.open()
            let whole = try await owner.rest()
            #expect(whole.content == whole.tokens)
            var lengths: [Int: Int] = [:]
            for try await events in group {
                lengths[events.count, default: 0] += 1
                #expect(events == Array(whole.events.suffix(events.count)))
            }
            #expect(lengths == [whole.events.count: 50, whole.events.count - 10: 50])
        }
        // When the viewers have left, no subscription remains.
        try await eventually("the channel is left") { try redis.lines("PUBSUB", "NUMSUB", RedisKeys(session).wake).last == "0" }
    }

    /// The model is writing when the second request arrives.
    @Test("The same key on two replicas at once leads to one completion, streamed twice (I2)")
    func oneKeyOnTwoReplicasAtTheSameInstant() async throws {
        let replicas = try await replicas()
        for round in 0..<5 {
            let session = SessionID.unique()
            let gate = Gate()
            twoHalves(gate)
            let body = AgentClient.body(session.text, ["content": "hello"])
            let headers = ["Idempotency-Key": "k"]
            async let first = replicas[0].client.open(body, headers: headers)
            async let second = replicas[1].client.open(body, headers: headers)
            var (one, two) = try await (first, second)
            for _ in 0..<10 {
                _ = try await one.next()
                _ = try await two.next()
            }
            gate.open()
            let answers = try await [one.rest(), two.rest()]
            #expect(answers[0].events == answers[1].events, "round \(round)")
            #expect(answers[0].done["status"] == "completed")
            #expect(try redis.history(session).map { $0["role"] } == ["system", "user", "assistant"])
        }
        #expect(upstream.requests.count == 5)
    }

    @Test("A lost subscription is restored while the step runs (I5)")
    func aLostSubscriptionIsMadeAgain() async throws {
        let replicas = try await replicas()
        let session = SessionID.unique()
        let gate = Gate()
        twoHalves(gate)
        var owner = try await replicas[0].client.open(AgentClient.body(session.text, ["content": "hello"]))
        for _ in 0..<10 { _ = try await owner.next() }
        var viewer = try await replicas[1].client.open("GET", path(session))
        for _ in 0..<10 { _ = try await viewer.next() }
        try await eventually("the viewer's replica listens") { try redis.lines("PUBSUB", "NUMSUB", RedisKeys(session).wake).last == "1" }
        try redis.cli("CLIENT", "KILL", "TYPE", "pubsub")
        gate.open()
        let whole = try await owner.rest()
        #expect(try await viewer.rest().events == whole.events)
        // The end arrives long before a tick.
        let end = try #require(whole.events.last)
        #expect(try #require(viewer.events.last).time - end.time < .seconds(20))
    }

    @Test("Without the right to publish or subscribe, a viewer lags by at most a tick (I5)", arguments: [["-publish"], ["resetchannels"]])
    func withoutWakeUpsATickIsEnough(denied: [String]) async throws {
        try redis.cli(["ACL", "SETUSER", "mute", "on", ">secret", "~*", "&*", "+@all"] + denied)
        let tick = Duration.milliseconds(300)
        let replicas = try await replicas(tick: 300, user: "mute")
        let session = SessionID.unique()
        let gates = (0..<5).map { _ in Gate() }
        upstream.answer { _ in
            var answer = UpstreamAnswer.text((0..<6).map { "token \($0) " })
            for (index, gate) in gates.enumerated() { answer = answer.inserting(.gate(gate), after: 2 * index + 2) }
            return answer
        }
        var owner = try await replicas[0].client.open(AgentClient.body(session.text, ["content": "hello"]))
        var viewer = try await replicas[1].client.open("GET", path(session))
        var delays: [Duration] = []
        for gate in gates {
            let token = try #require(try await owner.next())
            #expect(try await viewer.next() == token)
            delays.append(try #require(viewer.events.last).time - token.time)
            gate.open()
        }
        let whole = try await owner.rest()
        #expect(try await viewer.rest().events == whole.events)
        // Beside the tick, the delay includes the batch of the log, the reads, and the load of the
        // machine.
        #expect(delays.allSatisfy { $0 < tick + .milliseconds(700) }, "\(delays)")
        // The first event was already in the log. At least one of the others had to wait.
        #expect(delays.contains { $0 > .milliseconds(50) }, "\(delays)")
    }
}
