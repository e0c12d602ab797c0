import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// After every call, the data in Redis equals that of a plain model of the session.
@Suite("Random calls against a plain model", .tags(.processes), .serialized)
struct RandomSessionTests {
    @Test("Any order of calls leaves what the model says (I1, I2, I3, I8)", arguments: 1...8)
    func anyOrderOfCallsIsAsTheModelSays(seed: Int) async throws {
        try await run(seed, in: .single)
    }

    @Test("The same holds behind Sentinel and on a cluster", arguments: [SharedRedis.sentinel, .cluster], 9...10)
    func onEveryTopology(topology: SharedRedis, seed: Int) async throws {
        try await run(seed, in: topology)
    }

    @Test("The same holds on Valkey", .enabled(if: Valkey.isThere, Comment(rawValue: Valkey.hint)), arguments: 11...12)
    func onValkey(seed: Int) async throws {
        let valkey = try await Valkey.single()
        try await run(seed, ScriptSession(on: valkey))
        try await valkey.kill()
    }

    @Test("The same holds on a cluster of Valkeys", .enabled(if: Valkey.isThere, Comment(rawValue: Valkey.hint)), arguments: 13...14)
    func onAClusterOfValkeys(seed: Int) async throws {
        let cluster = try await Valkey.cluster()
        try await run(seed, ScriptSession(on: cluster))
        try await cluster.stop()
    }

    private func run(_ seed: Int, in topology: SharedRedis) async throws {
        try await run(seed, ScriptSession(in: topology))
    }

    private func run(_ seed: Int, _ it: ScriptSession) async throws {
        let layout = 1 + seed % RedisLayout.known
        var stores: [RedisSessionStore] = []
        for replica in 1...(2 + seed % 2) {
            stores.append(
                try await it.store(replica: "replica-\(replica)", lease: .seconds(400)) {
                    $0.sessionTTL = .seconds(900)
                    // ``LedgerBoundTests`` tests the ledger's limit.
                    $0.ledgerBound = 1 << 20
                    // The small limits force the store to read the history in pages, too.
                    ($0.historyAheadMessages, $0.historyPage) = (3, 2)
                    $0.layout = layout
                })
        }
        var session = RandomSession(it, stores: stores, seed: seed, layout: layout)
        for call in 0..<600 { try await session.step(call) }
        // The calls are chosen so that every outcome occurs.
        for kind in [
            "user started", "tool started", "tool waiting", "append held", "commit held", "take over taken", "commit lost",
            "cancel cancelled", "cancel gone",
        ] {
            let name = kind.replacing("take over", with: "take_over")
            let count = session.answers.filter { $0.key.hasPrefix(name) }.map(\.value).reduce(0, +)
            #expect(count > 0, "seed \(seed): \(name), \(session.answers)")
        }
        for store in stores { store.client.shutDown() }
    }
}
