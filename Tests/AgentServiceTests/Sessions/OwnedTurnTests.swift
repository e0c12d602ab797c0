import NIOCore
import TestSupport
import Testing

@testable import AgentService
@testable import SessionStore

/// A user's turns and streams are the user's alone.
@Suite("Turns of users", .tags(.redis), .serialized, .timeLimit(.minutes(2)))
struct OwnedTurnTests {
    private let alice: Requester
    private let bob: Requester

    init() throws {
        alice = .subject(try #require(Subject("alice")))
        bob = .subject(try #require(Subject("bob")))
    }

    private func session() async throws -> SessionInRedis {
        try await SessionInRedis(.shared()) { $0.layout = RedisLayout.owners }
    }

    private func say(_ text: String, as requester: Requester, key: String? = nil, _ turns: Turns) async throws -> Listener {
        var request = TurnRequest(session: turns.session.id, text: text, as: requester)
        request.idempotency = key.map { BeginStep.Idempotency(key: $0, digest: "d") }
        let listener = Listener()
        try await turns.service.start(request, stream: listener.stream)
        return listener
    }

    private func follow(_ turns: Turns, as requester: Requester) async throws -> Listener {
        guard case .position(let position) = try await turns.service.resumePoint(turns.session.id, after: nil, as: requester) else {
            throw Unexpected(description: "there is no session")
        }
        let listener = Listener()
        try turns.service.follow(turns.session.id, from: position, stream: listener.stream, as: requester)
        return listener
    }

    /// Whether a call fails as for a session that does not exist.
    private func isAbsent(_ body: () async throws -> Void) async -> Bool {
        do {
            try await body()
            return false
        } catch TurnError.noSession, TurnError.refused(.forbidden) {
            return true
        } catch {
            return false
        }
    }

    @Test("Another user can neither write, repeat, follow nor cancel")
    func anotherUserReachesNothing() async throws {
        let turns = Turns(try await session(), model: PlayedModel.endless)
        let owner = try await say("hello", as: alice, key: "k", turns)
        try await eventually("it runs") { try !owner.tokens().isEmpty }
        let id = turns.session.id
        for conflict in [TurnRequest.OnConflict.reject, .wait, .interrupt] {
            var request = TurnRequest(session: id, text: "x", as: bob)
            request.onConflict = conflict
            let listener = Listener()
            #expect(await isAbsent { try await turns.service.start(request, stream: listener.stream) }, "\(conflict)")
        }
        #expect(await isAbsent { _ = try await say("hello", as: bob, key: "k", turns) })
        #expect(await isAbsent { _ = try await turns.service.cancel(id, step: nil, as: bob) })
        guard case .noSession = try await turns.service.resumePoint(id, after: EventID(step: 1, sequence: 1, nonce: "abcd"), as: bob)
        else {
            Issue.record("a place in the stream was given away")
            return
        }
        let replay = try await say("hello", as: alice, key: "k", turns)
        #expect(try await turns.service.cancel(id, step: nil, as: alice) == 1)
        for listener in [owner, replay] { #expect(try await listener.all().done["status"] == "cancelled") }
    }

    /// Followers share their reads, whose user ever leads.
    @Test("A viewer sees nothing of the session that another user begins under the same name")
    func aViewerSeesNothingOfAnothersSession() async throws {
        let turns = Turns(try await session(), model: PlayedModel.endless)
        let owner = try await say("hello", as: alice, turns)
        let viewers = [try await follow(turns, as: alice), try await follow(turns, as: alice)]
        try await eventually("all have heard") { try viewers.allSatisfy { try !$0.tokens().isEmpty } }
        turns.model.play(PlayedModel.saying("a secret"))
        #expect(try await turns.session.store.delete(turns.session.id, as: alice))
        let other = try await say("hello", as: bob, turns)
        let all = try await follow(turns, as: .tenant)
        for listener in [owner] + viewers {
            let told = try await listener.all()
            #expect(told.error["code"] == "session_deleted" && !told.tokens.contains("secret"))
        }
        for listener in [other, all] { #expect(try await listener.all().tokens == "a secret") }
    }

    @Test("A step that is taken over and cancelled stays its owner's")
    func aTakenStepStaysItsOwners() async throws {
        let turns = Turns(try await session(), model: PlayedModel.endless)
        let owner = try await say("hello", as: alice, turns)
        try await eventually("it runs") { try !owner.tokens().isEmpty }
        let other = Turns(try await turns.session.elsewhere(), model: PlayedModel.saying("x"))
        #expect(try await other.service.cancel(turns.session.id, step: 1, as: .tenant) == 1)
        #expect(try await owner.all().done["status"] == "cancelled")
        #expect(try turns.session.state("subject") == "alice")
        #expect(
            try await turns.session.store.list(.standard, after: nil, limit: 500, as: alice).sessions.map(\.session)
                .contains(turns.session.id))
    }
}
