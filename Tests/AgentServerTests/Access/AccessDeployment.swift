import Foundation
import SessionStore
import TestSupport

@testable import agent_server

/// A server with two tenants, their users and one issuer, on a Redis of its own.
final class AccessDeployment: Sendable {
    static let signing = String(repeating: "s", count: 32)
    /// The scope of each key that lacks one.
    private static let names = ["sessions:read", "sessions:write", "sessions:cancel", "sessions:delete", "sessions:list", "admin"]

    let redis: RedisServer
    let upstream: Upstream
    let issuer: TestIssuer
    let replica: Replica

    /// - Parameter environment: Further settings of the replica.
    init(_ environment: [String: String] = [:]) async throws {
        redis = try await RedisServer.start()
        upstream = try await Upstream.start()
        issuer = try await TestIssuer.start()
        try redis.cli("HSET", "agent:meta", "layout", "3")
        var keys = [
            Self.entry("owner", subject: "user-1"), Self.entry("other", subject: "user-2"),
            Self.entry("admin", subject: "admin-1", ["scopes": ["*"]]), Self.entry("gateway", subject: "*", ["scopes": ["*"]]),
            Self.entry("foreign", subject: "user-1", ["tenant": "zed", "scopes": ["*"]]),
            Self.entry("expired", subject: "user-1", ["not_after": "2020-01-01T00:00:00Z"]),
        ]
        for name in Self.names {
            let rest = (Self.names + ["impersonate"]).filter { $0 != name }.map { JSON.string($0) }
            keys.append(Self.entry(Self.id(without: name), subject: "user-1", ["scopes": .array(rest)]))
        }
        let settings = [
            "AGENT_RUNTIME__KEYS_FILE": try KeyFiles.write(KeyFiles.text(keys)).path, "AGENT_RUNTIME__TICKET_KEYS": Self.signing,
            "AGENT_RUNTIME__LOG_FORMAT": "json", "AGENT_RUNTIME__JWT_TENANT_CLAIM": "tenant",
        ]
        replica = try await Replica.start(
            redis: redis.url, upstream: upstream.url, environment: issuer.settings(settings.merging(environment) { $1 }))
    }

    private static func entry(_ id: String, subject: String, _ members: [String: JSON] = [:]) -> JSON {
        let usual: [String: JSON] = ["tenant": "acme", "subject": .string(subject), "scopes": ["sessions:*"]]
        return KeyFiles.entry(id, usual.merging(members) { $1 })
    }

    private static func id(without scope: String) -> String { "no-" + scope.replacing("sessions:", with: "") }

    /// Returns the headers of a request with a key.
    static func headers(_ id: String, _ more: [String: String] = [:]) -> [String: String] {
        ["X-Internal-Auth": KeyFiles.key(id)].merging(more) { $1 }
    }

    /// Returns the headers of the owner with every scope but one.
    static func headers(without scope: Scopes) -> [String: String] { headers(id(without: scope.description)) }

    var client: AgentClient { replica.client }

    /// Creates a session of `user-1` in `acme`, with one turn.
    func session(_ id: String = SessionID.unique().text) async throws -> String {
        let answer = try await client.say("the words of user-1", in: id, headers: Self.headers("owner"))
        guard answer.done["status"] == "completed" else { throw NeverHappened(description: "a turn: \(answer.text)") }
        return id
    }

    /// Returns the history of a session of `acme`, as Redis has it.
    func history(_ session: String) throws -> [JSON] {
        guard let tenant = TenantID("acme"), let id = SessionID(session, tenant: tenant) else { return [] }
        return try redis.history(id)
    }
}
