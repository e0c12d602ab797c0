import NIOCore

@testable import SessionStore

/// The contents of a session after each call, computed in a simple way: the same rules of the
/// protocol, for one caller at a time and for leases that do not run out. Calls return the words of
/// ``RandomSession``.
struct SessionModel {
    struct Call {
        var step: Int
        var index: Int
        var name: String
        /// The digest of the result; nil without a result.
        var answer: String?
        var isClosed = false

        var isPending: Bool { answer == nil && !isClosed }
        var entry: String { "\(step) \(index) " + (isClosed ? "cancelled" : answer.map { "answered \($0)" } ?? "pending \(name)") }
    }

    var history: [String] = []
    var status = "idle"
    var fence = 0
    var token = ""
    var attempt = 0
    var intent = ""
    var isReleased = false
    /// The token that was released last.
    var released = ""
    var replaces = 0
    var origin = 0
    var previousOwner = ""
    var owner = ""
    var calls: [String: Call] = [:]
    /// Step and digest of each idempotency key.
    var keys: [String: (step: Int, digest: String, isResults: Bool)] = [:]
    /// The layout, which decides which keys exist in Redis.
    var layout = 1
    /// Step of each token, and whether it has committed.
    var tokens: [String: (step: Int, isCommitted: Bool)] = [:]
    var events: [(step: Int, sequence: Int)] = []
    /// Steps that were taken over only to be ended, and the step before each.
    var silent: [Int: Int] = [:]
    var journal = 0

    var open: [String] {
        calls.filter(\.value.isPending).sorted { ($0.value.step, $0.value.index) < ($1.value.step, $1.value.index) }.map(\.key)
    }

    var ledger: [String: String] {
        var ledger: [String: String] = [:]
        for (id, call) in calls { ledger["c:" + id] = call.entry }
        for (key, value) in keys {
            ledger["k:" + key] = "\(value.step) \(value.digest)" + (value.isResults && layout >= 2 ? " result" : "")
        }
        for (token, value) in tokens { ledger["t:" + token] = "\(value.step) \(value.isCommitted ? "committed" : "begun")" }
        return ledger
    }

    // MARK: Calls

    mutating func begin(_ begin: BeginStep, owner: String, systemPrompt: String) -> String {
        let key = begin.idempotency
        if begin.token.text == token { return started }
        if let seen = tokens[begin.token.text] { return "replay \(seen.step)" }
        if let key, let seen = keys[key.key] {
            if seen.digest != key.digest { return "refused idempotencyMismatch" }
            if case .toolResult = begin.input {} else { return "replay \(seen.step)" }
        }
        if case .toolResult(let json, let id, let name) = begin.input {
            guard let call = calls[id] else { return "refused unknownCall" }
            if let answer = call.answer {
                if answer != Digest.short(json) { return "refused resultConflict" }
                if status == "waiting", fence == call.step { return "waiting \(call.step) \(history.count) \(open)" }
                if calls.values.contains(where: { $0.step == call.step && $0.isClosed }) {
                    return "waiting \(call.step) \(history.count) \([String]())"
                }
                return "replay \(call.step + 1)"
            }
            if call.isClosed { return "refused callClosed" }
            if let name, name != call.name { return "refused toolNameMismatch(expected: \"\(call.name)\")" }
        }
        if status == "running" { return isReleased ? "orphaned \(fence)" : "busy \(fence)" }
        if let expected = begin.expectedLength, expected != history.count {
            return "refused historyMismatch(length: \(history.count))"
        }
        if case .retry = begin.input {
            if !open.isEmpty { return "refused callsPending(\(open))" }
            let last = history.last ?? #"{"role":"system""#
            if last.hasPrefix(#"{"role":"system""#) || last.hasPrefix(#"{"role":"assistant""#) { return "refused nothingToRetry" }
        }
        return accept(begin, owner: owner, systemPrompt: systemPrompt)
    }

    private mutating func accept(_ begin: BeginStep, owner: String, systemPrompt: String) -> String {
        var keyStep = fence + 1
        switch begin.input {
        case .toolResult(let json, let id, _):
            history.append(String(buffer: json))
            calls[id]?.answer = Digest.short(json)
            if !open.isEmpty { keyStep = calls[id]?.step ?? 0 }
        case .user(let json):
            if history.isEmpty { history.append(systemPrompt) }
            for id in open {
                history.append(
                    #"{"role":"tool","tool_call_id":"\#(id)","content":"cancelled: the user went on before this tool call was answered"}"#)
                calls[id]?.isClosed = true
            }
            history.append(String(buffer: json))
        case .retry, .replacement:
            break
        }
        if let key = begin.idempotency { keys[key.key] = (keyStep, key.digest, begin.input.isToolResult) }
        guard open.isEmpty else { return "waiting \(keyStep) \(history.count) \(open)" }
        lease(begin.token.text, owner: owner)
        attempt = 1
        intent = ""
        status = "running"
        return started
    }

    /// - Parameter oldest: The oldest step whose entries the session still needs.
    private mutating func lease(_ token: String, owner: String, oldest: Int = .max) {
        fence += 1
        self.token = token
        self.owner = owner
        isReleased = false
        tokens[token] = (fence, false)
        events.removeAll { $0.step < min(fence - 2, oldest) }
        events.append((fence, 0))
    }

    private var started: String { "started \(fence) \(history)" }
    private var lost: String { "lost(step: \(fence), intent: \"\(intent)\")" }

    private mutating func log(step: Int, sequence: Int) {
        if let last = events.last, (step, sequence) > last { events.append((step, sequence)) }
    }

    mutating func append(_ lease: StepLease, count: Int, last: Int) -> String {
        guard lease.token.text == token else { return lost }
        if count > 0 { log(step: lease.step, sequence: last) }
        return "held"
    }

    mutating func commit(_ commit: StepCommit) -> String {
        let own = commit.lease.token.text
        guard own == token else { return tokens[own]?.isCommitted == true ? "held" : lost }
        if !commit.events.isEmpty { log(step: commit.lease.step, sequence: commit.events.lastSequence) }
        history += commit.messages.map { String(buffer: $0) }
        for (index, call) in commit.calls.enumerated() { calls[call.id] = Call(step: commit.lease.step, index: index, name: call.toolName) }
        tokens[own] = (commit.lease.step, true)
        status = commit.calls.isEmpty ? "idle" : "waiting"
        token = ""
        intent = ""
        journal += 1
        return "held"
    }

    mutating func release(_ lease: StepLease) -> String {
        if isReleased, lease.token.text == released { return "held" }
        guard lease.token.text == token else { return lost }
        (isReleased, released, token) = (true, token, "")
        attempt -= 1
        return "held"
    }

    mutating func takeOver(_ arguments: TakeOverArguments) -> String {
        if arguments.token != token {
            guard status == "running", fence == arguments.step else { return "gone \(fence)" }
            guard isReleased || arguments.force else { return "alive \(fence)" }
            origin = replaces > 0 && replaces == fence - 1 ? origin : fence
            (replaces, previousOwner) = (fence, owner)
            if arguments.intent.isEmpty { attempt += 1 } else { intent = arguments.intent }
            lease(arguments.token, owner: arguments.owner, oldest: origin)
            if !intent.isEmpty || attempt > arguments.attempts { silent[fence] = replaces }
        }
        let action = !intent.isEmpty ? intent : attempt > arguments.attempts ? "fail" : "run"
        return "taken \(fence) \(replaces) \(previousOwner) \(action)"
    }

    /// Preempts a step and ends it with the log's text. The text of every event is `t`.
    mutating func cancel(_ arguments: TakeOverArguments) -> String {
        let answer = takeOver(arguments)
        guard answer.hasPrefix("taken") else { return answer }
        var speaker = replaces
        while let before = silent[speaker], events.contains(where: { $0 == (speaker, 0) }) { speaker = before }
        let text = String(repeating: "t", count: events.filter { $0.step == speaker }.map(\.sequence).max() ?? 0)
        if !text.isEmpty { history.append(#"{"role":"assistant","content":"\#(text)"}"#) }
        tokens[arguments.token] = (fence, true)
        (status, token, intent, isReleased) = ("idle", "", "", false)
        journal += 1
        return "cancelled \(fence) \(replaces) \(text)"
    }

    mutating func delete() -> Bool {
        defer {
            let layout = layout
            self = SessionModel()
            self.layout = layout
        }
        return fence > 0
    }
}
