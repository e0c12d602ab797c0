import Foundation
import SessionStore
import TestSupport
import Testing

/// The owner may run, be paused or be lost.
@Suite("Cancelling steps of other replicas", .tags(.processes), .serialized, .timeLimit(.minutes(5)))
struct CancelAcrossReplicasTests {
    enum Owner: CaseIterable {
        case alive, paused, killed
    }

    let redis: RedisServer
    let upstream: RawUpstream
    let one: Replica
    let two: Replica

    init() async throws {
        let redis = try await RedisServer.start()
        // The model emits three words, and then nothing.
        let upstream = try await RawUpstream.start { _ in
            let words = ["one ", "two ", "three "].map { #"data: {"choices":[{"index":0,"delta":{"content":"\#($0)"}}]}"# + "\n\n" }
            return [.bytes(RawUpstream.unboundedHead + words.joined())]
        }
        async let first = Replica.start(redis: redis.url, upstream: upstream.url, name: "one")
        async let second = Replica.start(redis: redis.url, upstream: upstream.url, name: "two")
        (one, two) = try await (first, second)
        (self.redis, self.upstream) = (redis, upstream)
    }

    private func start(_ session: SessionID, _ extra: [String: JSON] = [:]) async throws -> OpenAnswer {
        var open = try await one.client.open(AgentClient.body(session.text, ["content": "hello"], extra))
        try await open.next { $0.data["token"].string == "three " }
        try await eventually("it is in the log") { try redis.cli("XREVRANGE", RedisKeys(session).events, "+", "-").contains("three ") }
        return open
    }

    @Test("Another replica cancels a step of a living, paused or killed owner", arguments: Owner.allCases)
    func cancelFromAnotherReplica(owner: Owner) async throws {
        let session = SessionID.unique()
        var open = try await start(session)
        switch owner {
        case .alive: break
        case .paused: try await one.pause()
        case .killed: try await one.kill()
        }
        let begun = ContinuousClock.now
        let answer = try await two.client.send("POST", "/agent/sessions/\(session)/cancel", body: #"{"step":1}"#)
        #expect(answer.status == 202, "\(answer.text)")
        #expect(answer.json == ["session_id": .string(session.text), "step": 1])
        #expect(
            try redis.history(session).map { $0["content"].string }.suffix(2) == ["hello", "one two three "])
        if owner == .alive {
            // The model is silent. Without the message from Redis, the model's replica would learn
            // of the cancel only at the next renewal.
            try await eventually("the model's connection is closed") { upstream.openConnections == 0 }
            let closed = try #require(upstream.closures.last)
            #expect(closed - begun < .milliseconds(100))
        }
        if owner == .paused { one.resume() }
        if owner != .killed {
            let told = try await open.rest()
            #expect(told.content == "one two three " && told.tokens == told.content)
            #expect(told.done["status"] == "cancelled")
            #expect(told.error == nil)
        }
        let again = try await two.client.send("POST", "/agent/sessions/\(session)/cancel")
        #expect(again.status == 409 && again.code == "not_running")
        #expect(try redis.history(session).count == 3)
    }

    @Test("Deleting a session on another replica ends its step")
    func deletingASessionEndsItsStep() async throws {
        let session = SessionID.unique()
        var open = try await start(session)
        let begun = ContinuousClock.now
        #expect(try await two.client.send("DELETE", "/agent/sessions/\(session)").status == 204)
        try await eventually("the model's connection is closed") { upstream.openConnections == 0 }
        #expect(try #require(upstream.closures.last) - begun < .milliseconds(100))
        let told = try await open.rest()
        #expect(told.error?["code"] == "session_deleted" && told.done["status"] == "failed")
        #expect(try redis.cli("--scan", "--pattern", "agent:{\(session)}:*") == "")
        try await eventually("no hint stays") { try redis.cli("ZCARD", RedisKeys(session).running) == "0" }
        #expect(try redis.cli("ZCARD", RedisKeys(session).index) == "0")
    }

    @Test("With on_disconnect, a step ends when its client disconnects")
    func aClientThatLeavesCanTakeItsStepAlong() async throws {
        let session = SessionID.unique()
        func leave() async throws {
            // The test drops the stream at the end of this block, which closes its connection.
            _ = try await start(session, ["on_disconnect": "cancel"])
        }
        try await leave()
        try await eventually("it has ended") { try redis.history(session).last?["content"] == "one two three " }
        try await eventually("the model's connection is closed") { upstream.openConnections == 0 }
    }

    @Test("An interrupt from another replica ends the step")
    func interruptFromAnotherReplica() async throws {
        let session = SessionID.unique()
        var first = try await start(session)
        var second = try await two.client.open(AgentClient.body(session.text, ["content": "again"], ["on_conflict": "interrupt"]))
        #expect(second.status == 200)
        #expect(try await first.rest().done["status"] == "cancelled")
        try await second.next { $0.data["token"].string == "three " }
        #expect(
            try redis.history(session).dropFirst().map { $0["content"].string } == ["hello", "one two three ", "again"])
        _ = try await one.client.send("POST", "/agent/sessions/\(session)/cancel")
        #expect(try await second.rest().done["status"] == "cancelled")
        #expect(Conversation.violation(try redis.history(session)) == nil)
    }

    @Test("A cancel without a matching step is refused")
    func whatCannotBeCancelled() async throws {
        let session = SessionID.unique()
        func cancel(_ body: String?) async throws -> Answer {
            try await one.client.send("POST", "/agent/sessions/\(session)/cancel", body: body)
        }
        let unknown = try await cancel(nil)
        #expect(unknown.status == 404 && unknown.code == "session_not_found")
        for body in [#"{"step":0}"#, #"{"step":"1"}"#, #"{"step":1.5}"#, "[]"] {
            let answer = try await cancel(body)
            #expect(answer.status == 400 && answer.code == "invalid_request", "\(body)")
        }
        #expect(try await cancel("{").code == "invalid_json")
        var open = try await start(session)
        #expect(try await cancel(#"{"step":2}"#).code == "not_running")
        for body in ["{}", #"{"step":null}"#] {
            #expect([202, 409].contains(try await cancel(body).status), "\(body)")
        }
        #expect(try await open.rest().done["status"] == "cancelled")
    }

    /// If a replica loses its lease to a takeover, it lacks CPU, and logs that. If a client's
    /// cancel took the lease, it does not log that.
    @Test("A lease lost to a takeover is logged, and one that a client ended is not")
    func aLeaseThatAClientTookIsNotNoticed() async throws {
        let (deleted, lost) = (SessionID.unique(), SessionID.unique())
        var open = try await start(deleted)
        #expect(try await two.client.send("DELETE", "/agent/sessions/\(deleted)").status == 204)
        #expect(try await open.rest().error?["code"] == "session_deleted")
        #expect(!one.process.log.contains("the lease was lost"), "\(one.process.log)")

        open = try await start(lost)
        try await one.pause()
        try await eventually("the other one has it") { two.process.log.contains("a step was taken over") }
        one.resume()
        try await eventually("the first one says so") { one.process.log.contains("the lease was lost") }
    }
}
