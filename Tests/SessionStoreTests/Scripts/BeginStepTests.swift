import RedisClient
import TestSupport
import Testing

@testable import SessionStore

/// ``BeginStepToolResultTests`` tests tool results.
@Suite("begin_step with user messages and retries", .tags(.redis), .serialized)
struct BeginStepTests {
    static let system = #"{"role":"system","content":"be kind"}"#
    static let hello = #"{"role":"user","content":"hello"}"#

    @Test("A first message creates the session")
    func aFirstMessageMakesTheSession() async throws {
        let it = try await ScriptSession()
        let token = LeaseToken().text
        let answer = try await it.begin {
            $0.token = token
            $0.lease = 5_000
            $0.systemPrompt = Self.system
            $0.key = "key-1"
            $0.digest = "d1"
            $0.model = "m"
            $0.tools = "[]"
            $0.metadata = "{}"
            $0.onDisconnect = "cancel"
            $0.slot = "- 0 /*key"
        }
        let epoch = String(token.prefix(12))
        let bytes = Self.system.utf8.count + Self.hello.utf8.count
        #expect(answer.line == "started 1 2 m [] {} cancel \(epoch) \(bytes) [] 0 [] ")

        let dump = try await it.dump()
        #expect(dump.history == [Self.system, Self.hello])
        #expect(
            dump.state == [
                "status": "running", "fence": "1", "token": token, "nonce": "nonc", "owner": "replica-1",
                "lease_until": "\(answer.now + 5_000)", "attempt": "1", "intent": "", "epoch": epoch, "model": "m", "tools": "[]",
                "metadata": "{}", "on_disconnect": "cancel", "updated_at": "\(answer.now)", "created_at": "\(answer.now)",
                "history_bytes": "\(bytes)", "last_role": "user", "turn": "1", "rejected": "", "slot": "1 - 0 /*key",
                "run": "1 process-1 0",
            ])
        #expect(dump.pending.isEmpty)
        #expect(dump.ledger == ["t:\(token)": "1 begun", "k:key-1": "1 d1"])
        #expect(dump.events == [SessionDump.Entry(id: "1-0", fields: ["nonce", "nonc", "owner", "replica-1"])])
        #expect(dump.steps.isEmpty)
        #expect(dump.expiryTimes == [-1])
    }

    @Test("A step that limits forbid does not begin, and other outcomes stay")
    func aStepThatLimitsForbid() async throws {
        let it = try await ScriptSession()
        try await it.refused("limited") { try await it.begin { $0.mayBegin = false } }
        let token = LeaseToken().text
        _ = try await it.begin { ($0.token, $0.key, $0.digest) = (token, "k", "d") }
        try await it.refused("replay 1 1") { try await it.begin { ($0.mayBegin, $0.key, $0.digest) = (false, "k", "d") } }
        #expect(try await it.begin { $0.mayBegin = false }.name == "busy")
        _ = try await it.commit(token, 1, .calls("a", "b"))
        #expect(try await it.result(of: "a") { $0.mayBegin = false }.line == "waiting 1 3 b")
        try await it.refused("limited") { try await it.result(of: "b") { $0.mayBegin = false } }
        try await it.refused("calls_pending b") { try await it.retry { $0.mayBegin = false } }
        #expect(try await it.result(of: "b").name == "started")
    }

    @Test("The system prompt stands only at the start")
    func theSystemPromptStandsOnlyAtTheStart() async throws {
        let (it, token) = try await ScriptSession.running { $0.systemPrompt = Self.system }
        _ = try await it.commit(token, 1)
        let answer = try await it.begin { $0.systemPrompt = #"{"role":"system","content":"another"}"# }
        #expect(answer.step == 2)
        let roles = try await it.dump().history.map { try JSON($0)["role"].string }
        #expect(roles == ["system", "user", "assistant", "user"])
    }

    @Test("A session needs no system prompt")
    func aSessionNeedsNoSystemPrompt() async throws {
        let (it, _) = try await ScriptSession.running()
        #expect(try await it.dump().history == [Self.hello])
    }

    /// In every state, a repeated token gets the first reply. The script only renews the lease.
    @Test("The same token starts one step and gets the first reply again")
    func theSameTokenStartsOnce() async throws {
        let (it, token) = try await ScriptSession.running()
        let first = try await it.begin { $0.token = token }
        #expect(first.name == "started")
        try await it.repeated(first.line) { try await it.begin { $0.token = token } }
        // Meanwhile, the hint's time may have passed.
        try await it.repeated(first.line) {
            try await it.begin {
                $0.token = token
                $0.hint = 1
            }
        }
        _ = try await it.commit(token, 1)
        try await it.refused("replay 1 2") { try await it.begin { $0.token = token } }
        _ = try await it.begin()
        try await it.refused("replay 1 3") { try await it.begin { $0.token = token } }
    }

    @Test("A token whose step was taken over is replayed")
    func aTokenWhoseStepWasTakenOverIsReplayed() async throws {
        let (it, token) = try await ScriptSession.running()
        #expect(try await it.takeOver { $0.force = true }.name == "taken")
        try await it.refused("replay 1 1") { try await it.begin { $0.token = token } }
    }

    @Test("The same idempotency key is replayed (I2)")
    func theSameIdempotencyKeyIsReplayed() async throws {
        let (it, token) = try await ScriptSession.running {
            $0.key = "k"
            $0.digest = "d"
        }
        func again(_ digest: String = "d") async throws -> ScriptAnswer {
            try await it.begin {
                $0.key = "k"
                $0.digest = digest
            }
        }
        try await it.refused("replay 1 1") { try await again() }
        try await it.refused("idempotency_mismatch") { try await again("other") }
        _ = try await it.commit(token, 1)
        try await it.refused("replay 1 2") { try await again() }
        _ = try await it.begin()
        try await it.refused("replay 1 3") { try await again() }
        try await it.refused("idempotency_mismatch") { try await again("") }
        try await it.refused("idempotency_mismatch") {
            try await it.retry {
                $0.key = "k"
                $0.digest = "another"
            }
        }
    }

    @Test("A running step refuses other messages")
    func aRunningStepLetsNothingIn() async throws {
        let (it, _) = try await ScriptSession.running { $0.lease = 50_000 }
        let before = try await it.dump()
        let answer = try await it.begin()
        #expect(answer.name == "busy" && answer.step == 1)
        let left = try #require(answer.reply[3]?.integer)
        #expect(left > 0 && left <= 50_000)
        #expect(try await it.retry().name == "busy")
        #expect(try await it.dump() == before)
    }

    @Test("An expired lease is reported as orphaned")
    func aLeaseThatHasRunOutIsOrphaned() async throws {
        let (it, _) = try await ScriptSession.running { $0.lease = 1 }
        try await eventually("the lease runs out") { try await it.begin().name == "orphaned" }
        try await it.refused("orphaned 1") { try await it.begin() }
        try await it.refused("orphaned 1") { try await it.retry() }
    }

    @Test("A hint in the past is refused")
    func aHintThatHasPassedIsRefused() async throws {
        let it = try await ScriptSession()
        try await it.refused("late") { try await it.begin { $0.hint = 1 } }
        #expect(try await it.dump().isEmpty)
        let now = try await it.begin { $0.hint = 1 }.now
        try await it.refused("late") { try await it.begin { $0.hint = now } }
        #expect(try await it.begin { $0.hint = now + 60_000 }.name == "started")
    }

    @Test("A history of another length is refused (I7)")
    func aHistoryOfAnotherLengthIsRefused() async throws {
        let (it, token) = try await ScriptSession.running { $0.expectedLength = "0" }
        _ = try await it.commit(token, 1)
        try await it.refused("history_mismatch 2") { try await it.begin { $0.expectedLength = "3" } }
        try await it.refused("history_mismatch 2") { try await it.begin { $0.expectedLength = "0" } }
        try await it.refused("history_mismatch 2") { try await it.retry { $0.expectedLength = "1" } }
        #expect(try await it.begin { $0.expectedLength = "2" }.step == 2)
    }

    @Test("A known request is recognised with any expected length")
    func aRequestSeenBeforeIsRecognisedWhateverLengthItExpects() async throws {
        let (it, token) = try await ScriptSession.running {
            $0.key = "k"
            $0.expectedLength = "0"
        }
        _ = try await it.commit(token, 1)
        try await it.refused("replay 1 2") {
            try await it.begin {
                $0.key = "k"
                $0.expectedLength = "0"
            }
        }
    }

    // MARK: Retry

    @Test("A retry runs a failed step on the same history")
    func aRetryRunsAFailedStepOnTheHistoryAsItIs() async throws {
        let (it, token) = try await ScriptSession.running { $0.model = "m" }
        _ = try await it.commit(token, 1, CommitArguments())
        let answer = try await it.retry()
        #expect(answer.name == "started" && answer.step == 2)
        #expect(answer.fields(1...2) == ["1", "m"])
        #expect(try await it.dump().history == [Self.hello])
    }

    @Test("A retry needs an unanswered message")
    func aRetryNeedsSomethingToBeAnswered() async throws {
        let it = try await ScriptSession()
        try await it.refused("nothing_to_retry") { try await it.retry() }
        let token = LeaseToken().text
        _ = try await it.begin { $0.token = token }
        _ = try await it.commit(token, 1)
        try await it.refused("nothing_to_retry") { try await it.retry() }
        try await it.command("DEL", it.keys.history)
        try await it.command("RPUSH", it.keys.history, Self.system)
        try await it.refused("nothing_to_retry") { try await it.retry() }
    }

    @Test("A retry waits for open calls")
    func aRetryWaitsForOpenCalls() async throws {
        let it = try await ScriptSession.waiting(for: "b", "a")
        try await it.refused("calls_pending b a") { try await it.retry() }
    }

    // MARK: Settings

    @Test("Each turn has its own settings")
    func theSettingsAreTheTurnsAndAnotherTurnHasItsOwn() async throws {
        let (it, token) = try await ScriptSession.running {
            ($0.model, $0.tools, $0.metadata, $0.onDisconnect) = ("m1", "[1]", #"{"a":1}"#, "cancel")
        }
        _ = try await it.commit(token, 1, .calls("a"))
        let second = LeaseToken().text
        let answer = try await it.result(of: "a") {
            $0.token = second
            $0.metadata = #"{"a":2}"#
        }
        #expect(answer.fields(2...5) == ["m1", "[1]", #"{"a":2}"#, "cancel"])
        _ = try await it.commit(second, 2)
        #expect(try await it.begin { $0.tools = "[2]" }.fields(2...5) == ["", "[2]", "", ""])
        let state = try await it.dump().state
        #expect([state["model"], state["tools"], state["metadata"], state["on_disconnect"]] == ["", "[2]", "", ""])
    }
}
