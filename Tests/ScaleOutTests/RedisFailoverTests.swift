import Foundation
import RedisClient
import SessionStore
import TestSupport
import Testing

/// A test kills Redis's master in mid-stream, with real servers, sentinels and Clusters.
@Suite("Redis failovers in mid-stream", .tags(.processes), .serialized, .timeLimit(.minutes(3)))
struct RedisFailoverTests {
    /// The master with a session's keys, and all other servers.
    private struct Place {
        var master: RedisServer
        var others: [RedisServer]
    }

    /// Returns whether one of these servers, as a replica, has this number of the session's
    /// messages.
    private func hasReplica(of session: SessionID, messages: Int64, among servers: [RedisServer]) async throws -> Bool {
        for server in servers {
            let client = try await server.client()
            defer { client.shutDown() }
            // On a Cluster, a replica serves only clients that accept outdated data. Elsewhere this
            // command fails and changes nothing.
            let commands = [RedisCommand("READONLY"), RedisCommand("LLEN", RedisKeys(session).history)]
            if case .success(let length)? = try await client.connection(for: "").send(pipeline: commands).last, length.integer == messages {
                return true
            }
        }
        return false
    }

    @Test("A stream reaches its end after the master behind Sentinel is killed")
    func behindSentinel() async throws {
        let redis = try await RedisSentinels.start(replicas: 2)
        try await answer(redis.url, ["AGENT_RUNTIME__ACK_REPLICAS": "1"]) { _ in
            Place(master: redis.servers[0], others: Array(redis.servers.dropFirst()))
        }
        try await redis.stop()
    }

    @Test("A stream reaches its end after a cluster master is killed")
    func inACluster() async throws {
        let redis = try await RedisCluster.start(replicas: 1)
        try await answer(redis.url) { session in
            let master = try redis.master(of: RedisKeys(session).state)
            return Place(master: master, others: redis.nodes.filter { $0.port != master.port })
        }
        try await redis.stop()
    }

    private func answer(_ url: String, _ environment: [String: String] = [:], _ place: (SessionID) throws -> Place) async throws {
        let gate = Gate()
        let upstream = try await Upstream.start()
        upstream.answer { request in
            request.lastContent == "wait" ? .text("half", " and half").inserting(.gate(gate), after: 2) : .text("hello")
        }
        let settings = environment.merging(["AGENT_RUNTIME__LEASE_MS": "1000"]) { $1 }
        async let first = Replica.start(redis: url, upstream: upstream.url, name: "one", environment: settings)
        async let second = Replica.start(redis: url, upstream: upstream.url, name: "two", environment: settings)
        let (one, two) = try await (first, second)
        let session = SessionID.unique()
        #expect(try await two.client.say("hi", in: session.text).content == "hello")
        var open = try await one.client.open(AgentClient.body(session.text, ["content": "wait"]))
        try await open.next { $0.data["token"].string == "half" }
        var viewer = try await two.client.open("GET", "/agent/sessions/\(session)/stream")
        try await viewer.next { $0.data["token"].string == "half" }

        let place = try place(session)
        try await eventually("a replica of Redis has the question") {
            try await hasReplica(of: session, messages: 4, among: place.others)
        }
        try await place.master.kill()
        gate.open()
        let told = try await open.rest()
        #expect(told.content == "half and half" && told.done["status"] == "completed", "\(told.events.suffix(2))")
        let seen = try await viewer.rest()
        #expect(seen.content == "half and half" && seen.done["status"] == "completed", "\(seen.events.suffix(2))")
        for replica in [one, two] {
            let page = try await replica.client.get("/agent/sessions/\(session)/history").json
            #expect(page["messages"].array.map { $0["content"].string }.dropFirst() == ["hi", "hello", "wait", "half and half"])
        }
        for replica in [one, two] { #expect(try await replica.client.say("hi", in: session.text).content == "hello") }
        #expect(upstream.violations.isEmpty)
        for replica in [one, two] { try await replica.stop() }
        upstream.stop()
    }
}
