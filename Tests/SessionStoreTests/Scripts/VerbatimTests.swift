import TestSupport
import Testing

@testable import SessionStore

/// JSON passes through Redis and the scripts as text, and a person can read the numbers.
@Suite("Text that passes through Redis unchanged", .tags(.redis), .serialized)
struct VerbatimTests {
    static let odd = [
        #"{"role":"user","content":"a","n":12345678901234567890123,"f":1.0,"e":1E+2,"empty":[],"none":{},"dup":1,"dup":2}"#,
        #"{"role":"user","content":"\u00e9\ud83d\ude00\/\\\" ü日👩‍👩‍👧 %1 \u0000"}"#,
        "{\"role\":\"user\",\"content\":\"\u{7F}\u{2028}\u{10FFFF}\"}", "{}", "[]", #"{"role":"user","content":"$5\r\nx*1"}"#,
    ]

    @Test("Stored JSON equals the JSON that came", arguments: odd)
    func whatIsStoredIsWhatCame(json: String) async throws {
        let it = try await ScriptSession()
        let token = LeaseToken().text
        let started = try await it.begin {
            ($0.token, $0.message, $0.systemPrompt, $0.tools, $0.metadata) = (token, json, json, json, json)
        }
        #expect(started.fields(3...4) == [json, json])
        #expect(try await it.dump().history == [json, json])
        _ = try await it.append(token, 1, lastSequence: 1, ["token", json])
        var commit = CommitArguments()
        (commit.messages, commit.journalLine, commit.lastSequence, commit.events) = ([json], json, 2, ["message", json])
        commit.calls = [ScriptedCall("c")]
        commit.calls[0].json = json
        _ = try await it.commit(token, 1, commit)
        _ = try await it.result(of: "c") { $0.message = json }
        let dump = try await it.dump()
        #expect(dump.history == [json, json, json, json])
        #expect(dump.steps == [json])
        #expect(dump.state["tools"] == json && dump.state["metadata"] == json)
        #expect(dump.events.map(\.fields).contains(["token", json]) && dump.events.map(\.fields).contains(["message", json]))
        #expect(try it.redis.cli("LRANGE", it.keys.history, "0", "0") == json)
    }

    @Test("A pending call keeps its bytes", arguments: odd)
    func aPendingCallKeepsItsBytes(json: String) async throws {
        let (it, token) = try await ScriptSession.running()
        var commit = CommitArguments.calls("c")
        commit.calls[0].json = json
        _ = try await it.commit(token, 1, commit)
        #expect(try await it.dump().pending == ["c": json])
        #expect(try it.redis.cli("HGET", it.keys.pending, "c") == json)
    }

    /// Lua would write a large float as `1.79e+15`.
    @Test("Times and fences are whole numbers")
    func timesAndFencesAreWholeNumbers() async throws {
        let (it, token) = try await ScriptSession.running { $0.ttl = 600_000 }
        _ = try await it.append(token, 1, lastSequence: 12_345_678_901_234, ["token", "a"], ttl: 600_000)
        var commit = CommitArguments.calls("a")
        (commit.ttl, commit.promptTokens, commit.lastSequence, commit.events) = (
            600_000, 4_000_000_000, 99_999_999_999_999, ["done", "{}"]
        )
        _ = try await it.commit(token, 1, commit)
        try await it.command("HSET", it.keys.state, "fence", "99999999999990")
        _ = try await it.begin { $0.ttl = 600_000 }
        _ = try await it.takeOver { ($0.step, $0.force, $0.ttl) = (99_999_999_999_991, true, 600_000) }
        let dump = try await it.dump()
        #expect(dump.state["fence"] == "99999999999992")
        #expect(dump.events.map(\.id) == ["99999999999991-0", "99999999999992-0"])
        #expect(dump.state["prompt_tokens"] == "4000000000")
        for name in ["lease_until", "updated_at", "created_at"] {
            let text = try #require(dump.state[name])
            #expect(text.utf8.count == 13 && Int64(text) != nil, "\(name): \(text)")
        }
        let everything = "\(dump)".lowercased()
        #expect(!everything.contains("e+") && !everything.contains("nan") && !everything.contains("inf,"))
    }

    @Test("Sequence numbers are whole numbers in every entry")
    func sequenceNumbersAreWholeInEveryEntry() async throws {
        let (it, token) = try await ScriptSession.running()
        _ = try await it.append(token, 1, lastSequence: 12_345_678_901_234, Array(repeating: "token", count: 2_006))
        #expect(try await it.dump().events.map(\.id) == ["1-0", "1-12345678901231", "1-12345678901234"])
    }
}
