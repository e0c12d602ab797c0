import Foundation
import HTTPTypes
import SessionStore
import TestSupport
import Testing

@testable import agent_server

/// Every endpoint × own, other user, other tenant, missing scope, expired key, forged token.
@Suite("Who reaches what", .tags(.processes), .serialized, .timeLimit(.minutes(5)))
struct AccessTableTests {
    private static let shared = Task { try await AccessDeployment() }
    private let deployment: AccessDeployment

    init() async throws {
        deployment = try await Self.shared.value
    }

    private func send(_ endpoint: Endpoint, _ row: AccessRow, _ headers: [String: String]) async throws -> Answer {
        try await deployment.client.send(endpoint.method.rawValue, row.path, body: row.body?.text, headers: headers)
    }

    /// The response's body without what differs between two sessions.
    private func plain(_ answer: Answer, _ session: String) -> String { answer.text.replacing(session, with: "ID") }

    private func expect(_ answer: Answer, _ outcome: AccessRow.Outcome, of session: String, _ comment: Comment) async throws {
        switch outcome {
        case .status(let status):
            #expect(answer.status == status, comment)
        case .noSession:
            #expect(answer.status == 404 && answer.code == "session_not_found", "\(comment): \(answer.text)")
            #expect(answer.json["detail"] == "this session does not exist", comment)
        case .forbidden:
            #expect(answer.status == 403 && answer.code == "forbidden", "\(comment): \(answer.text)")
        case .nothingOfIt:
            #expect(answer.status == 200 && !answer.text.contains("the words of user-1"), "\(comment): \(answer.text)")
        }
    }

    @Test("Each caller gets what the table says, and leaves the session as it is", arguments: Endpoint.allCases)
    func theTable(_ endpoint: Endpoint) async throws {
        guard endpoint.access(to: "s") != nil else {
            // Balancers have no credential.
            #expect(Endpoint.isOpen(endpoint.path))
            #expect(try await deployment.client.get(endpoint.path).status == 200)
            return
        }
        let session = try await deployment.session()
        let row = try #require(endpoint.access(to: session))
        let before = try deployment.history(session)

        try await expect(
            try await send(endpoint, row, AccessDeployment.headers("other")), row.other, of: session, "\(endpoint), other user")
        let foreign = try await send(endpoint, row, AccessDeployment.headers("foreign"))
        try await expect(foreign, row.foreign, of: session, "\(endpoint), other tenant")
        if endpoint == .listSessions || endpoint == .exportSubject { #expect(!foreign.text.contains(session)) }

        if !endpoint.requiredScope.isEmpty {
            let lacking = try await send(endpoint, row, AccessDeployment.headers(without: endpoint.requiredScope))
            #expect(lacking.status == 403 && lacking.code == "forbidden", "\(endpoint), missing scope: \(lacking.text)")
        }
        let good = try token(["scope": "*"])
        let refused: [(String, [String: String])] = [
            ("no credential", [:]), ("unknown key", ["X-Internal-Auth": KeyFiles.key("nobody")]),
            ("expired key", AccessDeployment.headers("expired")),
            ("expired token", Self.bearer(try token(["exp": 1_000_000_000]))),
            ("token of another audience", Self.bearer(try token(["aud": "x"]))),
            ("unsigned token", Self.bearer(Self.unsigned(good))), ("changed token", Self.bearer(Self.changed(good))),
            ("forged ticket", ["Cookie": "\(TicketAuthenticator.cookie)=\(try Self.forgedTicket(for: session))"]),
        ]
        var bodies: Set<String> = []
        for (name, headers) in refused {
            let answer = try await send(endpoint, row, headers)
            #expect(answer.status == 401 && answer.code == "unauthorized", "\(endpoint), \(name): \(answer.text)")
            bodies.insert(answer.text)
        }
        #expect(bodies.count == 1, "\(endpoint): a refusal says which credential it was")
        // Nobody has changed anything so far. The erasure in the other tenant has erased nothing here.
        #expect(try deployment.history(session) == before && before.count == 3, "\(endpoint)")

        let own = try await send(endpoint, row, AccessDeployment.headers(row.key))
        #expect(own.status == row.own, "\(endpoint), own: \(own.text)")
        #expect(!deployment.replica.process.log.contains("the words of user-1"))
    }

    /// A token of the session's owner.
    private func token(_ claims: [String: JSON]) throws -> String {
        try deployment.issuer.token("one", ["sub": "user-1", "tenant": "acme"].merging(claims) { $1 })
    }

    private static func bearer(_ token: String) -> [String: String] { ["Authorization": "Bearer \(token)"] }

    /// A ticket for the session, which another key has signed.
    private static func forgedTicket(for session: String) throws -> String {
        let acme = try #require(TenantID("acme"))
        let id = try #require(SessionID(session, tenant: acme))
        let ticket = try #require(StreamTicket(for: id, principal: .unrestricted("internal")))
        return try #require(TicketAuthority(keys: [String(repeating: "f", count: 32)])).sign(ticket)
    }

    /// The token's header says that it is not signed.
    private static func unsigned(_ token: String) -> String {
        let payload = token.split(separator: ".")[1]
        return Base64URL.text(of: Array(#"{"alg":"none","typ":"JWT"}"#.utf8)) + ".\(payload)."
    }

    /// The token names another tenant, under the signature of the first.
    private static func changed(_ token: String) -> String {
        let parts = token.split(separator: ".").map(String.init)
        let payload = String(decoding: Base64URL.bytes(of: parts[1].utf8) ?? [], as: UTF8.self).replacing("acme", with: "zeta")
        return [parts[0], Base64URL.text(of: Array(payload.utf8)), parts[2]].joined(separator: ".")
    }

    @Test("A token of the issuer reaches its tenant and its user")
    func tokens() async throws {
        let session = try await deployment.session()
        for (tenant, subject, status) in [("acme", "user-1", 200), ("acme", "user-2", 404), ("zed", "user-1", 404)] {
            let token = try deployment.issuer.token("one", ["sub": .string(subject), "tenant": .string(tenant)])
            let answer = try await deployment.client.get("/agent/sessions/\(session)", headers: ["Authorization": "Bearer \(token)"])
            #expect(answer.status == status, "\(tenant) \(subject): \(answer.text)")
        }
    }

    /// Another user learns nothing of a session, whatever it asks for.
    @Test("A session of another user looks like one that does not exist", arguments: Endpoint.allCases)
    func otherUsers(_ endpoint: Endpoint) async throws {
        guard endpoint.path.contains("{session_id}") else { return }
        let session = try await deployment.session()
        let missing = SessionID.unique().text
        for key in ["other", "foreign"] {
            var seen: [String] = []
            for id in [session, missing] {
                let row = try #require(endpoint.access(to: id))
                let answer = try await send(
                    endpoint, row, AccessDeployment.headers(key, ["X-Request-ID": "r", "Last-Event-ID": "1-1.abcd"]))
                seen.append(
                    "\(answer.status) \(plain(answer, id)) \(answer.header("content-type") ?? "") \(answer.header("location") ?? "")")
            }
            #expect(seen[0] == seen[1], "\(endpoint) as \(key)")
        }
    }
}
