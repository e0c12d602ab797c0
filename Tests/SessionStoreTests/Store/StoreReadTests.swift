import NIOCore
import TestSupport
import Testing

@testable import SessionStore

/// The store reads a session's state, history and log.
@Suite("Reading a session", .tags(.redis), .serialized)
struct StoreReadTests {
    private func text(_ buffers: [ByteBuffer]) -> [String] { buffers.map { String(buffer: $0) } }

    // MARK: State

    @Test("A missing session has no state")
    func theStateOfNoSessionIsNil() async throws {
        let store = try await RedisServer.shared().store()
        #expect(try await store.state(.unique()) == nil)
        #expect(try await store.history(.unique(), offset: 0, limit: 5) == nil)
        let view = try await store.log(.unique(), afterStep: 0, sequence: 0, limit: 5)
        #expect(view.status == .idle && view.step == 0 && view.entries.isEmpty && !view.isOrphaned)
    }

    @Test("The state describes the running step", arguments: SharedRedis.allCases)
    func theStateTellsOfTheRunningStep(topology: SharedRedis) async throws {
        let it = try await ScriptSession(in: topology)
        let store = try await it.store(replica: "me", lease: .seconds(40))
        var begin = BeginStep.user("hello", in: it.session)
        begin.settings = TurnSettings(
            model: "m", tools: ByteBuffer(string: "[]"), metadata: ByteBuffer(string: "{}"), onDisconnect: .cancel)
        let lease = try await store.started(begin)
        let state = try #require(try await store.state(it.session))
        #expect(state.status == .running && state.step == 1 && state.owner == "me" && state.nonce == lease.token.nonce)
        #expect(state.attempt == 1 && state.intent == "" && state.epoch == lease.token.text.prefix(12))
        #expect(state.settings == begin.settings)
        #expect(state.historyLength == 1 && state.pending.isEmpty && state.promptTokens == 0)
        #expect(state.leaseUntil > state.now && state.leaseUntil <= state.now + 40_000 && !state.isOrphaned)
        #expect(state.createdAt == state.updatedAt && state.createdAt <= state.now)
        _ = try await store.release(lease)
        #expect(try await store.state(it.session)?.isOrphaned == true)
        _ = try await store.commit(StepCommit(try await store.taken(lease)))
        let idle = try #require(try await store.state(it.session))
        #expect(idle.status == .idle && !idle.isOrphaned && idle.promptTokens == 3 && idle.completionTokens == 4)
        #expect(idle.historyLength == 2 && idle.createdAt == state.createdAt && idle.updatedAt >= state.updatedAt)
    }

    /// A Redis hash preserves the order of small values only.
    @Test("Pending calls stand in the model's order", arguments: [0, 100])
    func pendingCallsStandInTheModelsOrder(padding: Int) async throws {
        let (it, token) = try await ScriptSession.running()
        let ids = (0..<40).map { "call-\(($0 * 7) % 40)" }
        var commit = CommitArguments.calls(ids)
        for index in ids.indices { commit.calls[index].json = #"{"n":\#(index),"p":"\#(String(repeating: "x", count: padding))"}"# }
        _ = try await it.commit(token, 1, commit)
        let store = try await it.store()
        let state = try #require(try await store.state(it.session))
        #expect(state.status == .waiting)
        #expect(state.pending.map(\.id) == ids)
        #expect(text(state.pending.map(\.json)) == commit.calls.map(\.json))
        _ = try await it.result(of: "call-7")
        #expect(try await store.state(it.session)?.pending.map(\.id) == ids.filter { $0 != "call-7" })
    }

    /// The store does not treat such a session as missing.
    @Test("A key of the wrong type is an error", arguments: ["state", "history", "pending"])
    func aKeyOfAWrongTypeIsSaid(name: String) async throws {
        let it = try await ScriptSession()
        let store = try await it.store()
        _ = try await it.begin()
        let key = it.keys.prefix + name
        try await it.command("DEL", key)
        try await it.command("SET", key, "x")
        let error = await #expect(throws: StoreError.self) { try await store.state(it.session) }
        #expect(error?.code == .damaged)
    }

    // MARK: History

    @Test("A history is read in pages", arguments: SharedRedis.allCases)
    func aHistoryIsReadInPages(topology: SharedRedis) async throws {
        let it = try await ScriptSession(in: topology)
        let all = (0..<10).map { #"{"n":\#($0)}"# }
        for message in all { try await it.command("RPUSH", it.keys.history, message) }
        let store = try await it.store()
        for (offset, limit) in [(0, 1), (0, 10), (0, 99), (3, 4), (9, 1), (9, 9), (8, 2)] {
            let page = try #require(try await store.history(it.session, offset: offset, limit: limit))
            #expect(text(page.messages) == Array(all.dropFirst(offset).prefix(limit)))
            #expect(page.length == 10)
        }
        let beyond = try #require(try await store.history(it.session, offset: 10, limit: 5))
        #expect(beyond.messages.isEmpty && beyond.length == 10)
    }

    // MARK: Log

    @Test("The log is read from any position", arguments: SharedRedis.allCases)
    func theLogIsReadFromAnyPlace(topology: SharedRedis) async throws {
        let it = try await ScriptSession(in: topology)
        let store = try await it.store(lease: .seconds(60))
        let lease = try await store.started(.user("hello", in: it.session))
        _ = await store.append(.tokens("a", "b"), lease: lease)
        _ = await store.append(.tokens("c", from: 3), lease: lease)
        var last = LoggedEvents(firstSequence: 4)
        last.append(.message, json: ByteBuffer(string: #"{"x":[]}"#))
        last.append(.done, json: ByteBuffer(string: "{}"))
        _ = try await store.commit(StepCommit(lease, events: last))
        _ = try await store.started(.user("more", in: it.session))

        func places(_ step: Int, _ sequence: Int, limit: Int = 100) async throws -> [String] {
            let view = try await store.log(it.session, afterStep: step, sequence: sequence, limit: limit)
            #expect(view.status == .running && view.step == 2)
            return view.entries.map { "\($0.step)-\($0.lastSequence)" }
        }
        #expect(try await places(0, 0) == ["1-0", "1-2", "1-3", "1-5", "2-0"])
        #expect(try await places(-1, -1) == ["1-0", "1-2", "1-3", "1-5", "2-0"])
        #expect(try await places(1, 0) == ["1-2", "1-3", "1-5", "2-0"])
        // If the position is within an entry, the store returns the whole entry, and the follower
        // splits it.
        #expect(try await places(1, 1) == ["1-2", "1-3", "1-5", "2-0"])
        #expect(try await places(1, 2) == ["1-3", "1-5", "2-0"])
        #expect(try await places(1, 2, limit: 1) == ["1-3"])
        #expect(try await places(1, 5) == ["2-0"])
        #expect(try await places(2, 0) == [])
        #expect(try await places(9, 0) == [])

        let entries = try await store.log(it.session, afterStep: 0, sequence: 0, limit: 100).entries
        try #require(entries.count == 5)
        #expect(entries[0].opening("owner").map { String(buffer: $0) } == "replica-1")
        #expect(entries[0].opening("nonce").map { String(buffer: $0) } == lease.token.nonce)
        #expect(entries[0].opening("restart") == nil)
        #expect(entries[1].fields.map { "\($0.name)=\(String(buffer: $0.value))" } == ["token=a", "token=b"])
        #expect(entries[3].fields.map { "\($0.name)=\(String(buffer: $0.value))" } == [#"message={"x":[]}"#, "done={}"])
    }

    @Test("The log read reports an orphan", arguments: SharedRedis.allCases)
    func theLogTellsOfAnOrphan(topology: SharedRedis) async throws {
        let it = try await ScriptSession(in: topology)
        let store = try await it.store(lease: .seconds(60))
        let lease = try await store.started(.user("hello", in: it.session))
        #expect(try await !store.log(it.session, afterStep: 0, sequence: 0, limit: 1).isOrphaned)
        _ = try await store.release(lease)
        #expect(try await store.log(it.session, afterStep: 0, sequence: 0, limit: 1).isOrphaned)
        _ = try await store.commit(StepCommit(try await store.taken(lease)))
        let view = try await store.log(it.session, afterStep: 0, sequence: 0, limit: 1)
        #expect(!view.isOrphaned && view.status == .idle)
    }
}
