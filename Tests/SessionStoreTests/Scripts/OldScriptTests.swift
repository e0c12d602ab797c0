import Foundation
import NIOCore
import TestSupport
import Testing

@testable import RedisClient
@testable import SessionStore

/// The scripts of the last build that knew the layouts 1 and 2, on sessions of this build: they
/// refuse what they cannot read, and leave it whole.
@Suite("Scripts of an earlier build", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct OldScriptTests {
    /// A script as that build sent it to Redis.
    private struct OldScript {
        let script: RedisScript
        let keys: [String]
        let arguments: [String]

        init(_ name: String) throws {
            let file = RecordedRedis.folder.appending(path: "scripts-layout-2/\(name).lua")
            let text = try String(contentsOf: file, encoding: .utf8)
            script = RedisScript(name: name, source: text.utf8)
            let keys = try #require(text.firstMatch(of: /local ([a-z_, ]+) = unpack\(KEYS\)/)?.output.1)
            self.keys = keys.split(separator: ", ").map(String.init)
            let arguments = text.firstMatch(of: /local ([a-z_, ]+) = unpack\(ARGV, 1, [0-9]+\)/)?.output.1
            self.arguments = (arguments ?? "").split(separator: ", ").map(String.init)
        }

        /// - Parameter values: Of its arguments; those that it does not know are left out.
        func call(on it: ScriptSession, _ values: [String: String], rest: [String] = []) async throws -> ScriptAnswer {
            var values = values
            if values["known_layout"] != nil { values["known_layout"] = "2" }
            var call = RedisScriptCall(script, keys: keys.map { it.keys.prefix + $0 })
            for name in arguments { call.append(try #require(values[name], "\(name)")) }
            for argument in rest { call.append(argument) }
            return ScriptAnswer(reply: try await it.connection.evaluate(call))
        }
    }

    private static let names = [
        "append_events", "begin_step", "claim_place", "commit_step", "delete_session", "forget_entries", "log_events", "read_state",
        "release_step", "rewind", "take_over",
    ]

    /// Every call of an earlier build's replica on a session, and what it may reply.
    private func expectLeftAlone(_ it: ScriptSession, _ state: String) async throws {
        let before = try await it.dump()
        let step = Int(before.state["fence"] ?? "") ?? 0
        var begin = BeginArguments()
        begin.layout = 2
        var takeOver = TakeOverArguments()
        (takeOver.step, takeOver.force) = (step, true)
        let stranger = LeaseToken().text
        let log = ["publish": "PUBLISH", "wake": it.keys.wake, "step": "\(step)", "token": stranger, "ttl": "0", "lease": "60000"]
        for kind in ["user", "retry", "replace", "tool_result"] {
            begin.kind = kind
            let answer = try await OldScript("begin_step").call(on: it, begin.values(wake: it.keys.wake))
            #expect(answer.line == "newer 3", "\(kind), \(state)")
        }
        #expect(try await OldScript("take_over").call(on: it, takeOver.values(it.keys)).line == "newer 3", "\(state)")
        let rewind = [
            "token": stranger, "nonce": "nonc", "owner": "old", "ttl": "0", "seen_fence": "\(step)",
            "seen_length": "\(before.history.count)", "kept": "1", "cut_bytes": "1", "last_role": "user", "cut_lines": "0",
            "first_step": "1", "journal_line": "{}", "journal_bound": "256", "publish": "PUBLISH", "wake": it.keys.wake,
            "known_layout": "2", "first_key_step": "0",
        ]
        #expect(try await OldScript("rewind").call(on: it, rewind).line == "newer 3", "\(state)")
        let delete = [
            "publish": "PUBLISH", "wake": it.keys.wake, "replica_channels": "agent:replica:", "session": it.session.text,
            "seen_epoch": before.state["epoch"] ?? "", "known_layout": "2",
        ]
        #expect(try await OldScript("delete_session").call(on: it, delete).line == "newer 3", "\(state)")
        // No replica of an earlier build gets a lease, so it has no token of the session.
        let append = log.merging(["last_sequence": "7", "asking": ""]) { $1 }
        #expect(try await OldScript("append_events").call(on: it, append, rest: ["token", "x"]).name == "lost", "\(state)")
        let entry = log.merging(["entry": "\(step)-7"]) { $1 }
        #expect(try await OldScript("log_events").call(on: it, entry, rest: ["token", "x"]).reply.integer == 0, "\(state)")
        let commit = CommitArguments.text()
        let values = commit.values(token: stranger, step: step, wake: it.keys.wake)
        #expect(try await OldScript("commit_step").call(on: it, values, rest: commit.rest).name == "lost", "\(state)")
        #expect(try await OldScript("release_step").call(on: it, log).name == "lost", "\(state)")
        #expect(try await OldScript("read_state").call(on: it, [:]).reply.count == 4, "\(state)")
        #expect(try await it.dump() == before, "\(state)")
    }

    @Test("They leave a session of layout 3 alone, in each of its states")
    func theyLeaveASessionOfLayout3Alone() async throws {
        for requester in [Requester.tenant, Users.alice] {
            let it = try await ScriptSession()
            let store = try await it.store { $0.layout = RedisLayout.known }
            let lease = try await store.started(.user("hello", in: it.session), as: requester)
            #expect(try await it.dump().state["v"] == "3")
            try await expectLeftAlone(it, "running")
            try await it.command("HSET", it.keys.state, "lease_until", "1")
            try await expectLeftAlone(it, "orphaned")
            _ = try await store.commit(StepCommit(lease, calls: ["c1", "c2"], events: .tokens("x")))
            try await expectLeftAlone(it, "waiting")
            _ = try await store.begin(.result(of: "c1", in: it.session), as: requester)
            let next = try await store.started(.result(of: "c2", in: it.session), as: requester)
            _ = try await store.release(next)
            try await expectLeftAlone(it, "released")
            _ = try await store.commit(StepCommit(try await store.taken(next)))
            try await expectLeftAlone(it, "idle")
        }
    }

    /// Before the layout is raised, replicas of both builds work on the same sessions.
    @Test("Before layout 3 both builds go on with each other's sessions", arguments: [1, 2])
    func bothBuildsGoOnWithEachOthersSessions(layout: Int) async throws {
        let it = try await ScriptSession()
        let store = try await it.store {
            $0.layout = layout
            // The test ends leases by hand.
            $0.outagePause = .zero
            $0.maximumAge = .seconds(600)
        }
        func old(_ change: (inout BeginArguments) -> Void = { _ in }) async throws -> (answer: ScriptAnswer, token: String) {
            var begin = BeginArguments()
            begin.layout = layout
            change(&begin)
            return (try await OldScript("begin_step").call(on: it, begin.values(wake: it.keys.wake)), begin.token)
        }
        func commit(_ token: String, _ step: Int, _ arguments: CommitArguments = .text()) async throws -> ScriptAnswer {
            let values = arguments.values(token: token, step: step, wake: it.keys.wake)
            return try await OldScript("commit_step").call(on: it, values, rest: arguments.rest)
        }
        // This build begins, and the earlier one goes on.
        _ = try await store.commit(StepCommit(try await store.started(.user("one", in: it.session))))
        var (answer, token) = try await old()
        #expect(answer.name == "started" && answer.step == 2 && answer.length == 3)
        #expect(try await commit(token, 2, .calls("c1", "c2")).line == "committed 4")
        // A call that the earlier build issued, with a result for each build.
        guard case .waiting = try await store.begin(.result(of: "c1", in: it.session)) else {
            Issue.record("the result was not stored")
            return
        }
        (answer, token) = try await old {
            $0.kind = "tool_result"
            $0.callID = "c2"
            $0.message = #"{"role":"tool","tool_call_id":"c2","content":"r"}"#
            $0.resultDigest = "d"
        }
        #expect(answer.name == "started" && answer.step == 3 && answer.length == 6)
        // This build takes the earlier one's step over, and the earlier one takes it back.
        try await it.command("HSET", it.keys.state, "lease_until", "1")
        let lease = StepLease(session: it.session, token: LeaseToken(), step: 3)
        let mine = try await store.taken(lease)
        #expect(mine.step == 4)
        #expect(try await commit(token, 3).name == "lost")
        try await it.command("HSET", it.keys.state, "lease_until", "1")
        var takeOver = TakeOverArguments()
        (takeOver.step, takeOver.verdict) = (4, "run")
        #expect(try await OldScript("take_over").call(on: it, takeOver.values(it.keys)).step == 5)
        guard case .lost = try await store.commit(StepCommit(mine)) else {
            Issue.record("a lost step was committed")
            return
        }
        #expect(try await commit(takeOver.token, 5).line == "committed 7")
        let dump = try await it.dump()
        #expect(dump.state["v"] == (layout == 1 ? nil : "2") && dump.state["status"] == "idle")
        #expect(try await store.state(it.session)?.historyLength == 7)
    }

    @Test("Every script of that build is tried")
    func everyScriptIsTried() throws {
        let files = try FileManager.default.contentsOfDirectory(
            atPath: RecordedRedis.folder.appending(path: "scripts-layout-2").path)
        #expect(files.sorted() == Self.names.map { "\($0).lua" })
        // These two know no session. Both builds call them on the same sorted sets.
        #expect(StoreScripts.forgetEntries.script.sha == (try OldScript("forget_entries").script.sha))
        #expect(StoreScripts.claimPlace.script.sha == (try OldScript("claim_place").script.sha))
    }
}
