import NIOCore
import TestSupport
import Testing

@testable import SessionStore

/// Makes random calls on one session through several stores, and makes the same calls on the model.
struct RandomSession {
    static let systemPrompt = #"{"role":"system","content":"be kind"}"#
    let it: ScriptSession
    let stores: [RedisSessionStore]
    let seed: Int
    var random: SeededGenerator
    var model = SessionModel()
    private var leases: [StepLease] = []
    private var sequences: [LeaseToken: Int] = [:]
    private var tokens: [LeaseToken] = []
    private var callIDs: [String] = []
    private var takeOvers: [TakeOverArguments] = []
    private var counter = 0
    private var lastFence = 0
    /// The data in Redis after the last call. Nothing else writes to the session.
    private var lastDump: SessionDump?
    /// The number of times that each outcome occurred.
    private(set) var answers: [String: Int] = [:]

    init(_ it: ScriptSession, stores: [RedisSessionStore], seed: Int, layout: Int) {
        (self.it, self.stores, self.seed) = (it, stores, seed)
        model.layout = layout
        random = SeededGenerator(seed: UInt64(seed))
    }

    /// Makes one call of one store. Fails the test if Redis and the model differ afterwards.
    mutating func step(_ number: Int) async throws {
        let before = if let lastDump { lastDump } else { try await it.dump() }
        let store = pick(stores) ?? stores[0]
        let name: String
        let (expected, answer): (String, String)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<40: (name, expected, answer) = try await begin(store)
        case 40..<56: (name, expected, answer) = await append(store)
        case 56..<77: (name, expected, answer) = try await commit(store)
        case 77..<83: (name, expected, answer) = try await release(store)
        case 83..<92: (name, expected, answer) = try await takeOver()
        case 92..<98: (name, expected, answer) = try await cancel(store)
        default:
            (name, expected, answer) = ("delete", "\(model.delete())", "\(try await store.delete(it.session))")
            lastFence = 0
        }
        let place: Comment = "seed \(seed), call \(number): \(name)"
        try #require(answer == expected, place)
        answers[name + " " + answer.prefix { $0.isLetter || $0 == " " }, default: 0] += 1
        let after = try await it.dump()
        lastDump = after
        try check(after, place)
        // A refused or repeated call has written nothing.
        if answer.hasPrefix("refused")
            || ["replay", "busy", "orphaned", "lost", "gone", "alive"].contains(String(answer.prefix { $0.isLetter }))
        {
            #expect(after == before, place)
        }
        if answer.hasPrefix("started") {
            // Models get this history (I1).
            #expect(Conversation.violation(try after.history.map { try JSON($0) }) == nil, place)
        }
    }

    private mutating func check(_ dump: SessionDump, _ place: Comment) throws {
        try #require(dump.history == model.history, place)
        try #require(dump.ledger == model.ledger, place)
        // From layout 2 on, every key exists from the first write to the deletion.
        let hasFillers = model.layout >= 2 && model.fence > 0
        #expect(Set(dump.pending.keys) == Set(model.open + (hasFillers ? [""] : [])), place)
        if hasFillers { #expect(Set(dump.expiry.keys) == Set(RedisKeys.scriptKeys.map { "\($0)" }), place) }
        #expect(dump.events.map(\.id) == model.events.map { "\($0.step)-\($0.sequence)" }, place)
        #expect(dump.steps.filter { $0 != "{}" }.count == model.journal, place)
        if model.fence == 0 {
            #expect(dump.isEmpty, place)
        } else {
            let state = [model.status, "\(model.fence)", model.token, "\(model.attempt)", model.intent, model.owner]
            #expect(["status", "fence", "token", "attempt", "intent", "owner"].map { dump.state[$0] } == state, place)
            #expect((dump.state["lease_until"] == "0") == (model.isReleased || model.status != "running"), place)
            #expect(dump.state["history_bytes"] == "\(dump.history.reduce(0) { $0 + $1.utf8.count })", place)
            // All keys expire at the same time (I8).
            #expect(dump.expiryTimes.count == 1, place)
            #expect(!dump.expiryTimes.contains(-1), place)
        }
        #expect(model.fence >= lastFence, place)
        lastFence = model.fence
    }

    // MARK: Calls

    private mutating func begin(_ store: RedisSessionStore) async throws -> (String, String, String) {
        let token = chance(15) ? pick(tokens) ?? LeaseToken(using: &random) : LeaseToken(using: &random)
        tokens.append(token)
        var begin: BeginStep
        let name: String
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<8:
            counter += 1
            (name, begin) = ("user", .user("\(counter)", in: it.session, token: token))
        case 8..<18:
            let id = (chance(65) ? pick(model.open) : pick(callIDs)) ?? "none"
            (name, begin) = ("tool", .result(chance(90) ? "r" : "s", of: id, in: it.session, token: token))
            if chance(20), case .toolResult(let json, let id, _) = begin.input {
                begin.input = .toolResult(json, callID: id, toolName: chance(70) ? "read_file" : "write_file")
            }
        default:
            (name, begin) = ("retry", BeginStep(session: it.session, input: .retry, token: token))
        }
        begin.systemPrompt = ByteBuffer(string: Self.systemPrompt)
        if chance(30) {
            begin.idempotency = BeginStep.Idempotency(
                key: "key-\(Int.random(in: 0..<12, using: &random))", digest: "d\(chance(85) ? 0 : 1)")
        }
        if chance(10) { begin.expectedLength = model.history.count - (chance(50) ? 0 : 1) }
        let expected = model.begin(begin, owner: store.configuration.replica, systemPrompt: Self.systemPrompt)
        let answer: String
        switch try await store.begin(begin) {
        case .started(let started):
            let history = try await store.history(of: started)
            answer = "started \(started.lease.step) \(history.map { String(buffer: $0) })"
            remember(started.lease)
        case .waiting(let step, let length, let open): answer = "waiting \(step) \(length) \(open)"
        case .replay(let step): answer = "replay \(step)"
        case .busy(let step, _): answer = "busy \(step)"
        case .orphaned(let step): answer = "orphaned \(step)"
        case .refused(let refusal, _): answer = "refused \(refusal)"
        case .limited(let refusal): answer = "limited \(refusal)"
        }
        return (name, expected, answer)
    }

    /// Returns mostly the latest lease, and sometimes one that may be lost.
    private mutating func anyLease() -> StepLease {
        let lease = chance(80) ? leases.last : pick(leases)
        return lease ?? StepLease(session: it.session, token: LeaseToken(using: &random), step: 1)
    }

    private mutating func remember(_ lease: StepLease) {
        leases.append(lease)
        if leases.count > 8 { leases.removeFirst() }
    }

    /// Returns events after those that this lease has written. Sometimes it repeats some of them,
    /// as after a lost reply.
    private mutating func events(for lease: StepLease) -> LoggedEvents {
        let written = sequences[lease.token] ?? 0
        let first = chance(20) ? max(1, written - 2) : written + 1
        var events = LoggedEvents(firstSequence: first)
        for _ in 0..<Int.random(in: 0...3, using: &random) { events.append(token: "t") }
        sequences[lease.token] = max(written, events.lastSequence)
        return events
    }

    private mutating func append(_ store: RedisSessionStore) async -> (String, String, String) {
        let lease = anyLease()
        let events = events(for: lease)
        let expected = model.append(lease, count: events.count, last: events.lastSequence)
        switch await store.append(events, lease: lease, renews: random.next() % 2 == 0) {
        case .success(let answer): return ("append", expected, "\(answer)")
        case .failure(let error): return ("append", expected, "\(error)")
        }
    }

    private mutating func commit(_ store: RedisSessionStore) async throws -> (String, String, String) {
        let lease = anyLease()
        var ids: [String] = []
        if chance(65) {
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                counter += 1
                ids.append("call-\(counter)")
            }
            callIDs = (callIDs + ids).suffix(20)
        }
        let commit = StepCommit(lease, text: chance(70) ? "answer" : nil, calls: ids, events: events(for: lease))
        let expected = model.commit(commit)
        return ("commit", expected, "\(try await store.commit(commit))")
    }

    private mutating func release(_ store: RedisSessionStore) async throws -> (String, String, String) {
        let lease = anyLease()
        let expected = model.release(lease)
        return ("release", expected, "\(try await store.release(lease))")
    }

    private mutating func takeOver() async throws -> (String, String, String) {
        let token = LeaseToken(using: &random)
        var arguments = TakeOverArguments()
        if chance(20), let last = takeOvers.last {
            arguments = last
        } else {
            (arguments.token, arguments.owner, arguments.ttl) = (token.text, "taker-\(Int.random(in: 1...2, using: &random))", 900_000)
            arguments.step = model.fence - (chance(85) ? 0 : 1)
            arguments.force = chance(60)
            arguments.intent = chance(25) ? "cancel" : ""
        }
        takeOvers.append(arguments)
        let expected = model.takeOver(arguments)
        let answer = try await it.takeOver { $0 = arguments }
        if answer.name == "taken", arguments.token == token.text {
            remember(StepLease(session: it.session, token: token, step: answer.step))
        }
        return ("take_over", expected, answer.name + " " + answer.rest.prefix(answer.name == "taken" ? 4 : 1).joined(separator: " "))
    }

    private mutating func cancel(_ store: RedisSessionStore) async throws -> (String, String, String) {
        let token = LeaseToken(using: &random)
        var arguments = TakeOverArguments()
        (arguments.token, arguments.owner) = (token.text, store.configuration.replica)
        (arguments.force, arguments.intent) = (true, "cancel")
        arguments.step = model.fence - (chance(85) ? 0 : 1)
        let expected = model.cancel(arguments)
        let answer: String
        switch try await store.takeOver(TakeOver(session: it.session, step: arguments.step, reason: .cancel, token: token)) {
        case .taken(let taken):
            let lease = taken.started.lease
            let text = String(buffer: try await store.loggedText(of: taken.started.lease, step: taken.replaces))
            #expect(taken.action == .cancel)
            #expect(try await store.commit(StepCommit(lease, text: text.isEmpty ? nil : text)) == .held)
            answer = "cancelled \(lease.step) \(taken.replaces) \(text)"
        case .gone(let step): answer = "gone \(step)"
        case .alive, .tooEarly, .suspect: answer = "not taken"
        }
        return ("cancel", expected, answer)
    }

    // MARK: Chance

    private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }
    private mutating func pick<Element>(_ elements: [Element]) -> Element? { elements.randomElement(using: &random) }
}
