import NIOCore
import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// The scripts store reasoning in the list `agent:{S}:reasoning`.
@Suite("Reasoning in the scripts", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct ReasoningScriptTests {
    private static let said = #""by":"default/m","fields":{"r":"t"},"calls":{}}"#

    /// Creates a session whose first completion contained reasoning.
    private func session(layout: Int = 2, ttl: Int = 0) async throws -> ScriptSession {
        let it = try await ScriptSession()
        let token = LeaseToken().text
        _ = try await it.begin { ($0.token, $0.layout, $0.ttl) = (token, layout, ttl) }
        var arguments = CommitArguments.text()
        arguments.ttl = ttl
        arguments.reasoning = [(0, Self.said)]
        #expect(try await it.commit(token, 1, arguments).name == "committed")
        #expect(try await it.commit(token, 1, arguments).name == "already")
        return it
    }

    private func list(_ it: ScriptSession) async throws -> [String] {
        try await it.command("LRANGE", it.keys.reasoning, "0", "-1").plainList
    }

    @Test("A commit adds reasoning once, with its message's index, and counts its bytes")
    func aCommitAddsItOnce() async throws {
        let it = try await session()
        let element = #"{"at":1,"# + Self.said
        #expect(try await list(it) == ["{}", element])
        let history = try await it.dump().history
        #expect(try await it.dump().state["history_bytes"] == "\(history.reduce(element.utf8.count) { $0 + $1.utf8.count })")
    }

    @Test("A session of layout 1 keeps no reasoning and still works")
    func layoutOne() async throws {
        let it = try await session(layout: 1)
        #expect(try await it.command("EXISTS", it.keys.reasoning).integer == 0)
        let answer = try await it.begin { $0.layout = 1 }
        #expect(answer.name == "started" && answer.rest.dropLast().suffix(2) == ["0", "[]"])
    }

    @Test("Reasoning expires with the other keys")
    func itExpiresWithTheRest() async throws {
        let it = try await session(ttl: 100_000)
        let expiry = try await it.dump().expiry
        #expect(expiry.count == 7 && Set(expiry.values).count == 1)
    }

    @Test("Reasoning comes with a small history at a begin and a takeover, not with a large one")
    func itComesWithASmallHistory() async throws {
        let it = try await session()
        let elements = try await list(it)
        let answer = try await it.begin { ($0.layout, $0.aheadBytes, $0.aheadMessages) = (2, 1 << 16, 64) }
        // The owner follows.
        #expect(answer.rest.dropLast().suffix(2) == ["2", "[\(elements.joined(separator: ","))]"])
        let taken = try await it.takeOver { ($0.step, $0.force, $0.aheadBytes, $0.aheadMessages) = (2, true, 1 << 16, 64) }
        // The slot, the owner and the age follow.
        #expect(taken.name == "taken" && taken.rest.dropLast(3).suffix(2) == ["2", "[\(elements.joined(separator: ","))]"])
        // A person has made the list larger than the state says.
        try await it.command("RPUSH", it.keys.reasoning, String(repeating: "x", count: 1 << 20))
        let again = try await it.takeOver { ($0.step, $0.force, $0.aheadBytes, $0.aheadMessages) = (3, true, 1 << 16, 64) }
        #expect(again.name == "taken" && again.rest.dropLast(3).suffix(2) == ["3", "[]"])
    }

    @Test("A conversation that begins again has no reasoning of the earlier one")
    func aNewConversationHasNone() async throws {
        let it = try await session()
        try await it.command("DEL", it.keys.history)
        #expect(try await it.begin { $0.layout = 2 }.name == "started")
        #expect(try await list(it) == ["{}"])
    }
}
