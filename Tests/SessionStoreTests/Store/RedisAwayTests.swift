import NIOCore
import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// Errors say only what is certain. When Redis serves commands again, the store works without a
/// restart.
@Suite("A store without Redis", .tags(.redis), .serialized)
struct RedisAwayTests {
    /// Returns the code of the error of a call that must fail.
    private func code<Value: Sendable>(_ call: () async throws -> Value) async -> StoreError.Code? {
        do {
            _ = try await call()
            return nil
        } catch {
            return (error as? StoreError)?.code
        }
    }

    private func back(_ lossy: LossyStore) async throws {
        lossy.eater.comeBack()
        try await eventually("the store is ready again") { lossy.store.isReady }
    }

    @Test("A call that was never sent is unavailable")
    func whatWasNeverSentIsUnavailable() async throws {
        let lossy = try await LossyStore()
        _ = try await lossy.store.begin(.user("else", in: .unique()))
        lossy.eater.goAway()
        try await eventually("the store knows") { !lossy.store.isReady }
        try await eventually("a begin is refused") { await code { try await lossy.store.begin(lossy.user()) } == .unavailable }
        #expect(await code { try await lossy.store.state(lossy.it.session) } == .unavailable)
        #expect(try await lossy.it.dump().isEmpty)
        try await back(lossy)
        #expect(try await lossy.started().step == 1)
        try await lossy.close()
    }

    /// It is always safe to repeat the call with the same token.
    @Test("A begin without a reply has an unknown outcome")
    func aBeginThatWasMadeAndNeverAnsweredIsUnknown() async throws {
        let lossy = try await LossyStore { $0.retryPatience = .milliseconds(250) }
        lossy.lose(.reply, of: StoreScripts.beginStep, goesAway: true)
        let begin = lossy.user()
        #expect(await code { try await lossy.store.begin(begin) } == .outcomeUnknown)
        var before = try await lossy.it.dump()
        #expect(before.history.count == 1)
        try await back(lossy)
        #expect(try await lossy.started(begin).step == 1)
        // The lease began with the call that got a reply.
        let after = try await lossy.it.dump()
        let ends = [before, after].compactMap { $0.state["lease_until"].flatMap { Int($0) } }
        #expect(ends.count == 2 && ends[0] < ends[1])
        before.state["lease_until"] = after.state["lease_until"]
        #expect(after == before)
        try await lossy.close()
    }

    /// The store cannot know that Redis never received the call.
    @Test("A begin lost on its way has an unknown outcome")
    func aBeginThatWasLostOnItsWayIsUnknown() async throws {
        let lossy = try await LossyStore { $0.retryPatience = .milliseconds(250) }
        lossy.lose(.request, of: StoreScripts.beginStep, goesAway: true)
        let begin = lossy.user()
        #expect(await code { try await lossy.store.begin(begin) } == .outcomeUnknown)
        #expect(try await lossy.it.dump().isEmpty)
        try await back(lossy)
        #expect(try await lossy.started(begin).step == 1)
        try await lossy.close()
    }

    /// Nothing was written, whether Redis received the command `TIME` or not.
    @Test("A begin that could not read the clock is unavailable")
    func aBeginWhoseClockWasNotReadIsUnavailable() async throws {
        let lossy = try await LossyStore { $0.retryPatience = .milliseconds(250) }
        lossy.eater.lose(.reply, of: "TIME", goesAway: true)
        #expect(await code { try await lossy.store.begin(lossy.user()) } == .unavailable)
        #expect(try await lossy.it.dump().isEmpty)
        try await lossy.close()
    }

    @Test("A commit waits for Redis, and its lease still writes")
    func aCommitWaitsForRedisAndItsLeaseStillWrites() async throws {
        let lossy = try await LossyStore { ($0.commitPatience, $0.retryPatience) = (.seconds(20), .milliseconds(100)) }
        let lease = try await lossy.started()
        lossy.eater.goAway()
        try await eventually("the store knows") { !lossy.store.isReady }
        async let answer = lossy.store.commit(StepCommit(lease))
        // A call with a shorter time limit fails meanwhile.
        try await eventually("a begin is refused") { await code { try await lossy.store.begin(lossy.user()) } == .unavailable }
        #expect(try await lossy.it.dump().history.count == 1)
        lossy.eater.comeBack()
        #expect(try await answer == .held)
        #expect(try await lossy.it.dump().history.count == 2)
        try await lossy.close()
    }

    @Test(
        "A commit that failed can be made later",
        arguments: [(ReplyEater.Loss?.none, StoreError.Code.unavailable), (.reply, .outcomeUnknown), (.request, .outcomeUnknown)]
    )
    func aCommitThatCannotBeMadeCanBeMadeLater(loss: ReplyEater.Loss?, expected: StoreError.Code) async throws {
        let lossy = try await LossyStore { $0.commitPatience = .milliseconds(250) }
        let lease = try await lossy.started()
        if let loss {
            lossy.lose(loss, of: StoreScripts.commitStep, goesAway: true)
        } else {
            lossy.eater.goAway()
            try await eventually("the store knows") { !lossy.store.isReady }
        }
        #expect(await code { try await lossy.store.commit(StepCommit(lease)) } == expected)
        #expect(try await lossy.it.dump().history.count == (loss == .reply ? 2 : 1))
        try await back(lossy)
        #expect(try await lossy.store.commit(StepCommit(lease)) == .held)
        let dump = try await lossy.it.dump()
        #expect(dump.history.count == 2 && dump.steps.count == 1)
        try await lossy.close()
    }

    // MARK: A server of its own

    @Test("A Redis that restarts empty is used as it is")
    func aRedisThatComesBackEmptyIsUsedAsItIs() async throws {
        let first = try await RedisServer.start()
        let store = RedisSessionStore(
            client: try await first.client { ($0.reconnectBase, $0.reconnectLimit) = (.milliseconds(5), .milliseconds(20)) },
            configuration: StoreConfiguration(replica: "one", lease: .seconds(60)), logger: .quiet)
        let session = SessionID.unique()
        let lease = try await store.started(.user("one", in: session))
        try await first.kill()
        try await eventually("the store knows") { !store.isReady }
        try await eventually("a begin is refused") { await code { try await store.begin(.user("two", in: session)) } == .unavailable }
        let second = try await RedisServer.start(directory: first.directory, port: first.port)
        try await eventually("the store is ready again") { store.isReady }
        // The restart removed scripts and sessions.
        #expect(try await store.commit(StepCommit(lease)) == .lost(step: 0, intent: ""))
        #expect(try await store.started(.user("three", in: session)).step == 1)
        store.client.shutDown()
        try await second.stop()
    }

    @Test("Flushed sessions are lost, and flushed scripts are reloaded")
    func flushedSessionsAreLostAndFlushedScriptsAreNot() async throws {
        let server = try await RedisServer.start()
        let it = try await ScriptSession(on: server)
        let store = try await server.store(lease: .seconds(60))
        func flush() async throws { #expect(try await it.command("SCRIPT", "FLUSH").string == "OK") }
        for step in stride(from: 1, through: 7, by: 3) {
            try await flush()
            let lease = try await store.started(.user("hello", in: it.session))
            #expect(lease.step == step)
            try await flush()
            #expect(await store.append(.tokens("a"), lease: lease).value == .held)
            try await flush()
            #expect(try await store.commit(StepCommit(lease, calls: ["call-\(step)"])) == .held)
            try await flush()
            let next = try await store.started(.result(of: "call-\(step)", in: it.session))
            try await flush()
            #expect(try await store.release(next) == .held)
            try await flush()
            #expect(try await store.commit(StepCommit(try await store.taken(next))) == .held)
        }
        #expect(try await it.dump().history.count == 12)

        let running = try await store.started(.user("hello", in: it.session))
        try await it.command("FLUSHALL")
        #expect(await store.append(.tokens("a"), lease: running).value == .lost(step: 0, intent: ""))
        #expect(try await store.release(running) == .lost(step: 0, intent: ""))
        #expect(try await store.commit(StepCommit(running)) == .lost(step: 0, intent: ""))
        #expect(try await it.dump().isEmpty)
        try await flush()
        #expect(try await !store.delete(it.session))
        #expect(try await store.started(.user("hello", in: it.session)).step == 1)
        try await server.stop()
    }

    /// If a script may need memory, a full Redis refuses it before the script's first write.
    /// Scripts that free memory still run.
    @Test("A Redis without memory refuses whole scripts")
    func aRedisWithoutMemoryRefusesWholeScripts() async throws {
        let server = try await RedisServer.start()
        let it = try await ScriptSession(on: server)
        let store = try await server.store(lease: .seconds(60))
        let lease = try await store.started(.user("hello", in: it.session))
        let before = try await it.dump()
        try await it.command("CONFIG", "SET", "maxmemory", "1")
        #expect(await code { try await store.begin(.user("more", in: .unique())) } == .unavailable)
        #expect(await code { try await store.commit(StepCommit(lease)) } == .unavailable)
        #expect(await store.append(.tokens("a"), lease: lease).failure?.code == .unavailable)
        #expect(try await store.release(lease) == .held)
        try await it.command("CONFIG", "SET", "maxmemory", "0")
        var expected = before
        expected.state.merge(["lease_until": "0", "attempt": "0", "token": "", "released": lease.token.text]) { $1 }
        #expect(try await it.dump() == expected)
        #expect(try await store.commit(StepCommit(try await store.taken(lease))) == .held)
        try await it.command("CONFIG", "SET", "maxmemory", "1")
        #expect(try await store.delete(it.session))
        try await server.stop()
    }
}
