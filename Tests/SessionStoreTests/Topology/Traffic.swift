import Locks
import NIOCore
import TestSupport
import Testing

@testable import SessionStore

/// Runs conversations during any fault of Redis. If a message gets no response, it is sent again
/// with its key, as clients do.
final class Traffic: Sendable {
    private struct State {
        var acknowledged: [SessionID: [String]] = [:]
        var failures: [String: Int] = [:]
        var isOver = false
    }

    let sessions: [SessionID]
    private let store: RedisSessionStore
    private let state = Guarded(State())

    init(_ store: RedisSessionStore, sessions count: Int) {
        self.store = store
        sessions = (0..<count).map { _ in .unique() }
    }

    /// The acknowledged turns of all sessions.
    var count: Int { state.withLock { $0.acknowledged.values.reduce(0) { $0 + $1.count } } }
    var failures: [String: Int] { state.withLock { $0.failures } }
    func acknowledged(_ session: SessionID) -> [String] { state.withLock { $0.acknowledged[session] ?? [] } }
    func count(of session: SessionID) -> Int { acknowledged(session).count }

    /// Runs turns in every session, from the start of `body` until ``end()``.
    func run(_ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for session in sessions {
                group.addTask {
                    var number = 0
                    while !self.state.withLock({ $0.isOver }) {
                        number += 1
                        try await self.turn("message \(number)", in: session)
                    }
                }
            }
            defer { state.withLock { $0.isOver = true } }
            try await body()
            state.withLock { $0.isOver = true }
            try await group.waitForAll()
        }
    }

    /// Sends one message until its completion is committed. Records an issue if that takes too
    /// long.
    private func turn(_ text: String, in session: SessionID) async throws {
        let key = BeginStep.Idempotency(key: text, digest: text)
        try await eventually("\(text) in \(session) is answered; failures: \(failures)", timeout: .seconds(60)) {
            do {
                var begin = BeginStep.user(text, in: session)
                begin.idempotency = key
                switch try await store.begin(begin) {
                case .started(let started):
                    let lease = started.lease
                    _ = await store.append(.tokens("a"), lease: lease)
                    let answer = try await store.commit(StepCommit(lease, text: "answer to \(text)"))
                    guard answer == .held else {
                        note("lost")
                        return false
                    }
                    acknowledge(text, session)
                    return true
                case .replay(let step):
                    // An earlier attempt was accepted. The response arrives when its step has
                    // ended.
                    return try await isEnded(step, session) { acknowledge(text, session) }
                case .orphaned(let step):
                    // No other replica will commit this step.
                    if case .taken(let taken) = try await store.takeOver(TakeOver(session: session, step: step, reason: .lost)) {
                        _ = try await store.commit(StepCommit(taken.started.lease, text: "answer to \(text)"))
                    }
                    return false
                case .busy:
                    return false
                case .waiting, .refused, .limited:
                    throw Unexpected(description: "a user message was refused")
                }
            } catch let error as StoreError {
                note("\(error.code)")
                return false
            }
        }
    }

    private func isEnded(_ step: Int, _ session: SessionID, _ acknowledge: () -> Void) async throws -> Bool {
        let view = try await store.look(session)
        if view.isOrphaned {
            if case .taken(let taken) = try await store.takeOver(TakeOver(session: session, step: view.step, reason: .lost)) {
                _ = try await store.commit(StepCommit(taken.started.lease, text: "answer after a take-over"))
            }
            return false
        }
        guard !view.isRunning else { return false }
        acknowledge()
        return true
    }

    private func acknowledge(_ text: String, _ session: SessionID) {
        state.withLock { $0.acknowledged[session, default: []].append(text) }
    }

    private func note(_ failure: String) { state.withLock { $0.failures[failure, default: 0] += 1 } }

    /// Checks that the history contains each acknowledged message once, with one completion (I1,
    /// I2).
    ///
    /// - Parameter losesNothing: False if a failover may have lost acknowledged writes.
    func check(losesNothing: Bool = true) async throws {
        for session in sessions {
            let page = try #require(try await store.history(session, offset: 0, limit: 100_000), "\(session) is gone")
            let messages = try page.messages.map { try JSON(parsing: $0) }
            #expect(Conversation.violation(messages) == nil, "\(session)")
            let users = messages.filter { $0["role"] == "user" }.compactMap { $0["content"].string }
            #expect(Set(users).count == users.count, "\(session) has a message twice")
            #expect(messages.count { $0["role"] == "assistant" } == users.count, "\(session)")
            let missing = Set(acknowledged(session)).subtracting(users)
            if losesNothing { #expect(missing.isEmpty, "\(session) has lost \(missing)") }
            #expect(try await store.look(session).isRunning == false, "\(session) is stuck")
        }
    }
}
