import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// Large replies use separate connections.
@Suite("The store's lanes for large replies", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct StoreLaneTests {
    /// The store reads a large reply while the turns' connections get no replies.
    @Test("Large replies never use the connections of turns")
    func noLargeReplyComesOverTheUsualConnections() async throws {
        let proxy = try await FaultyProxy.start(to: RedisServer.shared())
        let it = try await ScriptSession()
        for _ in 0..<3 { try await it.command("RPUSH", it.keys.history, String(repeating: "x", count: 100_000)) }
        var configuration = proxy.configuration
        configuration.commandTimeout = .seconds(60)
        let store = try await configuration.store(lease: .seconds(60))
        guard case .started(let started) = try await store.begin(.user("hello", in: it.session)) else {
            throw Unexpected(description: "not started")
        }
        #expect(started.history.isEmpty)
        proxy.inject(.holdReply, on: "ECHO", times: .max)
        // Successive commands use the connections in turn, so that every connection waits for a
        // reply.
        for _ in 0..<64 { store.client.route(for: it.keys.prefix).submit(RedisCommand("ECHO", "x")) { _ in } }
        try await eventually("they get no answer") { proxy.heldReplies >= 64 }

        #expect(try await store.history(of: started).count == 4)
        #expect(try await store.history(it.session, offset: 0, limit: 10)?.messages.count == 4)
        #expect(try await store.messages(it.session, in: 1..<3).count == 2)
        #expect(try await store.state(it.session)?.historyLength == 4)
        #expect(try await store.tools(of: started.lease) == nil)
        #expect(try await store.journal(it.session).lines.isEmpty)
        #expect(try await store.log(it.session, afterStep: 0, sequence: 0, limit: 5).entries.count == 1)
        #expect(proxy.heldReplies >= 64)
        try await proxy.stop()
    }

    /// On a Cluster, each node has separate connections.
    @Test("Each lane has its own connections", arguments: SharedRedis.allCases)
    func eachLaneHasConnectionsOfItsOwn(topology: SharedRedis) async throws {
        let it = try await ScriptSession(in: topology)
        let store = try await it.store()
        _ = try await store.begin(.user("hello", in: it.session))
        let lanes = RedisLane.allCases.map { store.client.route(for: it.keys.prefix, over: $0).connection }
        #expect(Set(lanes.map { ObjectIdentifier($0) }).count == RedisLane.allCases.count)
        for lane in RedisLane.allCases {
            let reply = try await store.client.route(for: it.keys.prefix, over: lane).send(RedisCommand("LLEN", it.keys.history))
            #expect(reply.integer == 1)
        }
    }
}
