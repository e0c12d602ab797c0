import Foundation
import SessionStore
import TestSupport
import Testing

/// While a Cluster moves a slot, the keys of a session in this slot are on two nodes.
@Suite("A session whose cluster slot moves", .tags(.processes), .serialized, .timeLimit(.minutes(3)))
struct MovingSlotTests {
    /// Counts the commands that a node has redirected to the slot's new node.
    private func redirections(_ node: RedisServer) throws -> Int {
        try node.cli("INFO", "errorstats").firstMatch(of: /errorstat_ASK:count=([0-9]+)/).flatMap { Int($0.output.1) } ?? 0
    }

    /// The old node has only some of the keys, and the others still exist on the new node: no
    /// client is told that the session was deleted or is empty.
    @Test("No client sees a missing or empty session while its keys move", arguments: ["events", "state", "history"])
    func aSessionIsWholeWhileItsKeysMove(first: String) async throws {
        let redis = try await RedisCluster.start()
        let gate = Gate()
        let upstream = try await Upstream.start { _ in .text("half", " and half").inserting(.gate(gate), after: 2) }
        async let one = Replica.start(redis: redis.url, upstream: upstream.url, name: "one")
        async let two = Replica.start(redis: redis.url, upstream: upstream.url, name: "two")
        let (owner, other) = (try await one.client, try await two.client)
        let session = SessionID.unique()
        let path = "/agent/sessions/\(session)"
        var open = try await owner.open(AgentClient.body(session.text, ["content": "wait"]))
        try await open.next { $0.data["token"].string == "half" }
        var viewer = try await other.open("GET", "\(path)/stream")
        try await viewer.next { $0.data["token"].string == "half" }

        let keys = RedisKeys(session)
        let slot = Int(try redis.nodes[0].cli("CLUSTER", "KEYSLOT", keys.state)) ?? 0
        let source = try redis.master(of: keys.state)
        let target = try #require(redis.nodes.first { $0.port != source.port })
        var reads: [Task<Answer, any Error>] = []
        try await redis.move(slot: slot, from: source, to: target) {
            try source.cli("MIGRATE", "127.0.0.1", "\(target.port)", keys.state.replacing("state", with: first), "0", "5000")
            let before = try redirections(source)
            reads = [path, "\(path)/history"].map { path in Task { try await other.get(path) } }
            // The viewer polls periodically. Each other client has polled at least once.
            try await eventually("all have looked") { try redirections(source) >= before + 4 }
        }
        gate.open()
        var joiner = try await other.open("GET", "\(path)/stream")
        for answer in [try await viewer.rest(), try await joiner.rest()] {
            #expect(answer.error == nil, "\(answer.events)")
            #expect(answer.done["status"] == "completed", "\(answer.events)")
            #expect(answer.content == "half and half")
        }
        #expect(try await open.rest().done["status"] == "completed")
        for read in reads {
            let answer = try await read.value("it is answered")
            #expect(answer.status == 200 && answer.json["history_length"].int ?? 0 >= 2, "\(answer.text)")
        }
        #expect(try redis.history(session).map { $0["role"].string } == ["system", "user", "assistant"])
        upstream.stop()
        try await redis.stop()
    }
}
