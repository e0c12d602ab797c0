import TestSupport
import Testing

@testable import SessionStore

/// `begin_step` enforces the limit, and `commit_step` counts the bytes.
@Suite("Bound on a history", .tags(.redis), .serialized)
struct HistoryBoundTests {
    private static let hello = #"{"role":"user","content":"hello"}"#

    private func bytes(_ it: ScriptSession) async throws -> Int? {
        let dump = try await it.dump()
        #expect(dump.state["history_bytes"] == "\(dump.history.reduce(0) { $0 + $1.utf8.count })")
        return dump.state["history_bytes"].flatMap { Int($0) }
    }

    @Test("A history at its bound of messages takes no more")
    func aHistoryWithAsManyMessagesTakesNothingMore() async throws {
        let (it, token) = try await ScriptSession.running { $0.maximumMessages = 2 }
        _ = try await it.commit(token, 1)
        let bytes = try #require(try await bytes(it))
        try await it.refused("history_full 2 \(bytes)") { try await it.begin { $0.maximumMessages = 2 } }
        try await it.refused("history_full 2 \(bytes)") { try await it.begin { $0.maximumMessages = 1 } }
        #expect(try await it.begin { $0.maximumMessages = 3 }.step == 2)
    }

    @Test("A history takes bytes up to its bound")
    func aHistoryTakesBytesUpToTheBound() async throws {
        let (it, token) = try await ScriptSession.running { $0.maximumBytes = Self.hello.utf8.count }
        _ = try await it.commit(token, 1)
        let bytes = try #require(try await bytes(it))
        let needed = bytes + Self.hello.utf8.count
        try await it.refused("history_full 2 \(bytes)") { try await it.begin { $0.maximumBytes = needed - 1 } }
        #expect(try await it.begin { $0.maximumBytes = needed }.step == 2)
        #expect(try await self.bytes(it) == needed)
    }

    /// If a full session refused these results, a client could only delete it.
    @Test("A full session takes the results of its open calls")
    func resultsOfOpenCallsAreTakenByAFullSession() async throws {
        let it = try await ScriptSession.waiting(for: "a", "b")
        #expect(try await it.result(of: "a") { $0.maximumMessages = 2 }.name == "waiting")
        // A full session recognises a result that it has already accepted.
        try await it.refused("waiting 1 3 b") { try await it.result(of: "a") { $0.maximumMessages = 2 } }
        let bytes = try #require(try await bytes(it))
        try await it.refused("history_full 3 \(bytes)") { try await it.begin { $0.maximumMessages = 2 } }
        #expect(try await it.result(of: "b") { $0.maximumBytes = 1 }.step == 2)
        _ = try await self.bytes(it)
    }

    @Test("Retries are bounded as well")
    func retriesAreBoundAsWell() async throws {
        let (failed, token) = try await ScriptSession.running()
        _ = try await failed.commit(token, 1, CommitArguments())
        let left = try #require(try await self.bytes(failed))
        try await failed.refused("history_full 1 \(left)") { try await failed.retry { $0.maximumMessages = 1 } }
    }

    /// For a user message, the script adds messages that close open calls.
    @Test("Results that the script writes are counted")
    func whatTheScriptSaysItselfIsCounted() async throws {
        let it = try await ScriptSession.waiting(for: "a", "b")
        #expect(try await it.begin().step == 2)
        _ = try await bytes(it)
    }

    @Test("A session that begins again counts from zero")
    func aSessionThatBeginsAnewCountsAnew() async throws {
        let (it, token) = try await ScriptSession.running()
        _ = try await it.commit(token, 1)
        try await it.command("DEL", it.keys.history)
        #expect(try await it.begin { $0.maximumBytes = Self.hello.utf8.count }.step == 2)
        #expect(try await bytes(it) == Self.hello.utf8.count)
    }
}
