import NIOCore
import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// The script's reply contains a small history. The store reads a larger one in pages.
@Suite("The history of a step that begins", .tags(.redis), .serialized)
struct BeginStepHistoryTests {
    /// Creates a session with `count` messages of about `length` bytes, and returns the bytes of
    /// its history.
    private func session(_ count: Int, of length: Int = 3) async throws -> ScriptSession {
        let it = try await ScriptSession()
        var bytes = 0
        for index in 0..<count {
            let message = "\(index) " + String(repeating: "x", count: length)
            bytes += message.utf8.count
            try await it.command("RPUSH", it.keys.history, message)
        }
        try await it.command("HSET", it.keys.state, "history_bytes", "\(bytes)")
        return it
    }

    private func begin(_ it: ScriptSession, in store: RedisSessionStore) async throws -> StartedStep {
        let begin = BeginStep(session: it.session, input: .user(.init(string: BeginStepTests.hello)))
        guard case .started(let started) = try await store.begin(begin) else {
            throw StoreError(.unexpectedReply, "not started")
        }
        return started
    }

    @Test("A small history comes with the reply", arguments: [(0, 1), (0, 3), (1, 1), (1, 2), (1, 3), (6, 7), (7, 7), (8, 7), (40, 7)])
    func aHistoryOfFewMessagesComesWithTheBegin(count: Int, ahead: Int) async throws {
        let it = try await session(count)
        let store = try await it.store { ($0.historyAheadMessages, $0.historyPage) = (ahead, 3) }
        let started = try await begin(it, in: store)
        let stored = try await it.dump().history
        #expect(started.historyLength == count + 1 && stored.count == count + 1)
        #expect(started.historyBytes == stored.reduce(0) { $0 + $1.utf8.count })
        #expect(started.history.map { String(buffer: $0) } == (stored.count <= ahead ? stored : []))
        #expect(started.hasHistory == (stored.count <= ahead))
        // The field says whether the owner asks the model with the history of the reply. Takeovers
        // use it to judge lost owners.
        #expect(try await it.dump().state["run"] == "1 \(store.configuration.instance) \(started.hasHistory ? 1 : 0)")
        #expect(try await store.history(of: started).map { String(buffer: $0) } == stored)
    }

    @Test("A large history does not come with the reply", arguments: [0, 1, 2, 127, 128])
    func aHistoryOfManyBytesDoesNotComeWithTheBegin(count: Int) async throws {
        let it = try await session(count, of: 500)
        let total = try await it.command("HGET", it.keys.state, "history_bytes").intValue ?? 0
        let store = try await it.store { $0.historyAheadBytes = total + BeginStepTests.hello.utf8.count - 1 }
        #expect(try await begin(it, in: store).history.isEmpty)
    }

    /// The state does not contain the size of this history.
    @Test("A history edited by hand does not come with the reply")
    func aHistoryThatWasPutThereByHandDoesNotComeWithTheBegin() async throws {
        let it = try await session(3)
        try await it.command("HDEL", it.keys.state, "history_bytes")
        #expect(try await begin(it, in: it.store()).history.isEmpty)
    }

    @Test("The history can be read afterwards in pages", arguments: [0, 1, 2, 255, 256, 257, 700])
    func theHistoryCanBeReadAfterwards(count: Int) async throws {
        let it = try await session(count, of: 5_000)
        let store = try await it.store { $0.historyAheadBytes = 0 }
        let started = try await begin(it, in: store)
        #expect(started.history.isEmpty && started.historyLength == count + 1)
        let stored = try await it.dump().history
        // `#expect` on the lists themselves would print megabytes.
        let isSame = try await store.history(of: started).map { String(buffer: $0) } == stored
        #expect(isSame)
    }

    @Test("Megabytes are read whole")
    func megabytesAreReadWhole() async throws {
        let it = try await session(40, of: 200_000)
        let store = try await it.store()
        let started = try await begin(it, in: store)
        #expect(started.history.isEmpty)
        let stored = try await it.dump().history
        let isSame = try await store.history(of: started).map { String(buffer: $0) } == stored
        #expect(isSame)
    }

    /// A client ends the step while the replica reads its history, and the next step adds messages.
    @Test("Messages added by a later step are not read")
    func whatIsAddedAfterwardsIsNotRead() async throws {
        let it = try await session(3)
        let store = try await it.store { $0.historyAheadMessages = 2 }
        let started = try await begin(it, in: store)
        try await it.command("RPUSH", it.keys.history, "of the next step")
        let history = try await store.history(of: started)
        #expect(history.count == 4 && history.last.map { String(buffer: $0) } == BeginStepTests.hello)
    }

    @Test("A session that begins again has another epoch")
    func aSessionBegunAnewHasAnotherEpoch() async throws {
        let (it, _) = try await ScriptSession.running()
        let first = try #require(try await it.dump().state["epoch"])
        #expect(first.utf8.count == 12)
        #expect(try await it.delete())
        #expect(try await it.begin().length == 1)
        let second = try #require(try await it.dump().state["epoch"])
        #expect(second.utf8.count == 12 && second != first)
    }

    @Test("The epoch stays with its list")
    func theEpochStaysWithTheList() async throws {
        let (it, token) = try await ScriptSession.running()
        let epoch = try await it.dump().state["epoch"]
        _ = try await it.commit(token, 1)
        #expect(try await it.begin().name == "started")
        #expect(try await it.dump().state["epoch"] == epoch)
    }
}
