import Foundation
import Locks
import SessionStore
import TestSupport
import Testing

@Suite("A server that takes tokens", .tags(.processes), .serialized, .timeLimit(.minutes(3)))
struct TokenServerTests {
    let redis: RedisServer
    let upstream: Upstream
    let issuer: TestIssuer

    init() async throws {
        (redis, upstream, issuer) = (try await RedisServer.shared(), try await Upstream.start(), try await TestIssuer.start())
    }

    private func replica(_ environment: [String: String] = [:]) async throws -> Replica {
        try await Replica.start(redis: redis.url, upstream: upstream.url, environment: issuer.settings(environment))
    }

    private func status(_ replica: Replica, _ token: String) async throws -> Int {
        try await replica.client.get("/agent/sessions?limit=1", headers: ["Authorization": "Bearer \(token)"]).status
    }

    @Test("The issuer's keys are rotated under load: no valid token is refused")
    func rotation() async throws {
        let replica = try await replica()
        let tally = Tally(token: try issuer.token("one"))
        try await withThrowingTaskGroup(of: Void.self) { clients async throws in
            for _ in 0..<8 {
                clients.addTask {
                    while !Task.isCancelled {
                        guard let code = try? await status(replica, tally.token.withLock { $0 }) else { return }
                        if code != 200 { tally.refused.withLock { $0.append("\(code)") } }
                    }
                }
            }
            for _ in 0..<20 { #expect(try await status(replica, try issuer.token("one")) == 200) }
            // The issuer publishes the next key, and signs with it from then on.
            issuer.publish("two")
            tally.token.withLock { $0 = (try? issuer.token("two")) ?? "" }
            for _ in 0..<20 { #expect(try await status(replica, try issuer.token("two")) == 200) }
            clients.cancelAll()
            while await clients.nextResult() != nil {}
        }
        #expect(tally.refused.withLock { $0 } == [])
        #expect(issuer.requests == 2)
        #expect(!replica.process.log.contains("eyJ"))
        try await replica.stop()
    }

    @Test("A server whose issuer is away starts, is ready, and says so")
    func theIssuerIsAway() async throws {
        issuer.isAway = true
        let replica = try await replica(["AGENT_RUNTIME__INTERNAL_API_KEY": "sixteen-letters!"])
        try await eventually("it says so") { replica.process.log.contains("the issuer's keys cannot be fetched") }
        let answer = try await replica.client.get("/agent/sessions", headers: ["Authorization": "Bearer \(try issuer.token())"])
        #expect(answer.status == 503 && answer.code == "issuer_unavailable" && answer.header("Retry-After") != nil)
        #expect(try await status(replica, "sixteen-letters!") == 200)
        issuer.isAway = false
        try await eventually("the keys are fetched") { try await status(replica, try issuer.token()) == 200 }
        try await replica.stop()
    }

    @Test("A file with the issuer's keys is read again when it changes")
    func keysInAFile() async throws {
        let file = try KeyFiles.write(issuer.keySet)
        let replica = try await replica(["AGENT_RUNTIME__JWT_JWKS_URL": "", "AGENT_RUNTIME__JWT_JWKS_FILE": file.path])
        #expect(try await status(replica, try issuer.token("one")) == 200)
        #expect(try await status(replica, try issuer.token("two")) == 401)
        issuer.publish("two")
        try KeyFiles.replace(file, with: issuer.keySet)
        try await eventually("the next set") { try await status(replica, try issuer.token("two")) == 200 }
        let before = replica.process.log.utf8.count
        try KeyFiles.replace(file, with: #"{"keys":[]}"#)
        try await eventually("an error") { replica.process.log.dropFirst(before).contains("stay in use") }
        #expect(try await status(replica, try issuer.token("one")) == 200)
        #expect(issuer.requests == 0)
        try await replica.stop()
    }

    /// The token is accepted within its leeway of 30 s, of which two are left.
    @Test("A stream ends half a minute after its token, and its step goes on")
    func theStreamOfATokenThatEnds() async throws {
        for disconnect in ["continue", "cancel"] {
            let gate = Gate()
            upstream.answer { _ in UpstreamAnswer.text("a", "b").inserting(.gate(gate), after: 2) }
            let replica = try await replica()
            let session = SessionID.unique().text
            let ending = try issuer.token("one", ["exp": .number(Date().timeIntervalSince1970.rounded() - 27)])
            var open = try await replica.client.open(
                AgentClient.body(session, ["content": "x"], ["on_disconnect": .string(disconnect)]),
                headers: ["Authorization": "Bearer \(ending)"])
            try await open.next { $0.data["token"] == "a" }
            let answer = try await open.rest()
            #expect(answer.text.hasSuffix(": the credential has ended\nretry: 100\n\n"), "\(answer.text)")
            #expect(try await status(replica, ending) == 401)
            gate.open()
            let headers = ["Authorization": "Bearer \(try issuer.token())", "Last-Event-ID": try #require(answer.events.last?.id)]
            let rest = try await replica.client.get("/agent/sessions/\(session)/stream", headers: headers)
            #expect(rest.done["status"] == "completed" && rest.content == "ab")
            try await replica.stop()
        }
    }

    @Test("A viewer's stream ends with its token as well")
    func theStreamOfAViewer() async throws {
        let gate = Gate()
        upstream.answer { _ in UpstreamAnswer.text("a", "b").inserting(.gate(gate), after: 2) }
        let replica = try await replica()
        let session = SessionID.unique().text
        let token = try issuer.token()
        var open = try await replica.client.open(AgentClient.body(session, ["content": "x"]), headers: ["Authorization": "Bearer \(token)"])
        try await open.next { $0.data["token"] == "a" }
        let ending = try issuer.token("one", ["exp": .number(Date().timeIntervalSince1970.rounded() - 28)])
        let view = try await replica.client.get("/agent/sessions/\(session)/stream", headers: ["Authorization": "Bearer \(ending)"])
        #expect(view.text.hasSuffix(": the credential has ended\nretry: 100\n\n") && view.tokens == "a", "\(view.text)")
        gate.open()
        #expect(try await open.rest().done["status"] == "completed")
        try await replica.stop()
    }
}

/// What the clients of a rotation share.
private final class Tally: Sendable {
    let refused = Guarded<[String]>([])
    let token: Guarded<String>

    init(token: String) {
        self.token = Guarded(token)
    }
}
