import NIOCore
import TestSupport
import Testing

@testable import SessionStore

/// How a step that begins gets its history: in the same write as the script, as far as that goes, and the rest in pages.
@Suite struct BeginStepHistoryTests {
    /// A session whose history is `count` messages of `length` bytes.
    private func session(_ count: Int, of length: Int = 3) async throws -> ScriptSession {
        let it = try await ScriptSession()
        for index in 0..<count {
            try await it.command("RPUSH", it.keys.history, "\(index) " + String(repeating: "x", count: length))
        }
        return it
    }

    private func begin(_ it: ScriptSession, in store: RedisSessionStore, readsAhead: Bool = true) async throws -> StartedStep {
        var begin = BeginStep(session: it.session, input: .user(.init(string: BeginStepTests.hello)))
        begin.readsAhead = readsAhead
        guard case .started(let started) = try await store.begin(begin) else {
            throw StoreError(.unexpectedReply, "not started")
        }
        return started
    }

    @Test(arguments: [(0, 1), (0, 3), (1, 1), (1, 2), (1, 3), (6, 7), (7, 7), (8, 7), (40, 7)])
    func whatComesWithTheBeginIsBoundedAndTheRestIsRead(count: Int, ahead: Int) async throws {
        let it = try await session(count)
        let store = try await it.store { ($0.historyAhead, $0.historyPage) = (ahead, 3) }
        let started = try await begin(it, in: store)
        let stored = try await it.dump().history
        #expect(started.historyLength == count + 1 && stored.count == count + 1)
        #expect(started.history.map { String(buffer: $0) } == Array(stored.prefix(ahead)))
        #expect(try await store.history(of: started).map { String(buffer: $0) } == stored)
    }

    /// Whoever has waited for another step does not read what it may not get.
    @Test(arguments: [0, 1, 2, 255, 256, 257, 700]) func theHistoryCanBeReadAfterwards(count: Int) async throws {
        let it = try await session(count, of: 5_000)
        let store = try await it.store()
        let started = try await begin(it, in: store, readsAhead: false)
        #expect(started.history.isEmpty && started.historyLength == count + 1)
        let stored = try await it.dump().history
        // Not #expect over the lists themselves: a failure would print megabytes.
        let isSame = try await store.history(of: started).map { String(buffer: $0) } == stored
        #expect(isSame)
    }

    @Test func megabytesAreReadWhole() async throws {
        let it = try await session(40, of: 200_000)
        let store = try await it.store { $0.historyAhead = 20 }
        let started = try await begin(it, in: store)
        #expect(started.history.count == 20)
        let stored = try await it.dump().history
        let isSame = try await store.history(of: started).map { String(buffer: $0) } == stored
        #expect(isSame)
    }

    /// A step is ended by force while its history is on its way: what the next one has added is not this one's.
    @Test func whatIsAddedAfterwardsIsNotRead() async throws {
        let it = try await session(3)
        let store = try await it.store { $0.historyAhead = 2 }
        let started = try await begin(it, in: store)
        try await it.command("RPUSH", it.keys.history, "of the next step")
        let history = try await store.history(of: started)
        #expect(history.count == 4 && history.last.map { String(buffer: $0) } == BeginStepTests.hello)
    }

    @Test func aSessionBegunAnewHasAnotherEpoch() async throws {
        let (it, _) = try await ScriptSession.running()
        let first = try #require(try await it.dump().state["epoch"])
        #expect(first.utf8.count == 12)
        #expect(try await it.delete())
        #expect(try await it.begin().length == 1)
        let second = try #require(try await it.dump().state["epoch"])
        #expect(second.utf8.count == 12 && second != first)
    }

    @Test func theEpochStaysWithTheList() async throws {
        let (it, token) = try await ScriptSession.running()
        let epoch = try await it.dump().state["epoch"]
        _ = try await it.commit(token, 1)
        #expect(try await it.begin().name == "started")
        #expect(try await it.dump().state["epoch"] == epoch)
    }
}
