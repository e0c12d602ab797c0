import Foundation
import NIOCore
import SessionStore
import TestSupport
import Testing

@testable import agent_server

/// ``HostAndOriginTests`` tests the checks of `Host` and `Origin`.
@Suite("Bodies sent to a server without an API key", .tags(.processes), .serialized)
struct LoopbackTests {
    let redis: RedisServer
    let upstream: Upstream

    init() async throws {
        (redis, upstream) = (try await RedisServer.shared(), try await Upstream.start())
    }

    private func replica(_ environment: [String: String] = [:]) async throws -> (replica: Replica, port: Int) {
        let replica = try await Replica.start(redis: redis.url, upstream: upstream.url, environment: environment)
        return (replica, try #require(URL(string: replica.url)?.port))
    }

    /// Returns the status line, headers and body of the response to one request.
    private func answer(
        _ port: Int, _ target: String = "/agent/sessions", host: String?, _ fields: [String] = [], method: String = "GET",
        body: String = "",
        version: String = "1.1"
    ) async throws -> String {
        let connection = try await RawHTTP.connect(port: port)
        var head = ["\(method) \(target) HTTP/\(version)"] + (host.map { ["Host: \($0)"] } ?? []) + fields
        head += ["Connection: close"] + (body.isEmpty ? [] : ["Content-Length: \(body.utf8.count)"])
        try await connection.send(head.joined(separator: "\r\n") + "\r\n\r\n" + body)
        return try await within(.seconds(20), "the server closes") { try await connection.everything() }
    }

    /// A web page may send a body without a type to any server. It may send JSON only if the server
    /// has agreed to the browser's question.
    @Test("A body must be declared as JSON")
    func aBodyMustBeDeclaredAsJSON() async throws {
        let (replica, port) = try await replica()
        let body = AgentClient.body(SessionID.unique().text, ["content": "x"]).text
        for fields in [[], ["Content-Type: text/plain"], ["Content-Type:"]] {
            let refused = try await answer(port, "/agent/message/stream", host: "localhost", fields, method: "POST", body: body)
            #expect(refused.hasPrefix("HTTP/1.1 415 ") && refused.contains("unsupported_media_type"), "\(fields): \(refused)")
        }
        #expect(upstream.requests.isEmpty)
        let taken = try await answer(
            port, "/agent/message/stream", host: "localhost", ["Content-Type: application/json"], method: "POST", body: body)
        #expect(taken.contains("event: done"))
        try await replica.stop()
    }

    @Test("With an API key set, the key alone decides")
    func withAKeyTheKeyDecides() async throws {
        let (replica, port) = try await replica(["AGENT_RUNTIME__INTERNAL_API_KEY": "a-key-of-some-length"])
        let fields = ["X-Internal-Auth: a-key-of-some-length", "Origin: https://app.example", "Sec-Fetch-Site: cross-site"]
        #expect(try await answer(port, host: "agent.example", fields).hasPrefix("HTTP/1.1 200 "))
        let body = AgentClient.body(SessionID.unique().text, ["content": "x"]).text
        let untyped = try await answer(port, "/agent/message/stream", host: "agent.example", fields, method: "POST", body: body)
        #expect(untyped.contains("event: done"))
        try await replica.stop()
    }
}
