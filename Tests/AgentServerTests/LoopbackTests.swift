import Foundation
import NIOCore
import SessionStore
import TestSupport
import Testing

@testable import agent_server

@Suite("A server without an API key", .tags(.processes), .serialized)
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

    @Test("Only loopback names in the Host header are accepted")
    func theNameInHost() async throws {
        let (replica, port) = try await replica(["AGENT_RUNTIME__ALLOWED_HOSTS": "agent.example, other.example:99,[fd00::1]"])
        for host in [
            "localhost", "LocalHost:8001", "localhost.", "127.0.0.1", "127.0.0.1:\(port)", "127.1.2.3:1", "[::1]", "[::1]:\(port)",
            "agent.example", "AGENT.example:443", "other.example", "[fd00::1]:80",
        ] {
            #expect(try await answer(port, host: host).hasPrefix("HTTP/1.1 200 "), "\(host)")
        }
        for host in [
            "evil.example", "127.evil.com", "127.0.0.1.evil.com", "localhost.evil.com", "127.0.0.1@evil.com", "evil.com:127.0.0.1",
            "128.0.0.1", "127.0.0", "127.0.0.256", "0.0.0.0", "[::2]", "[::1].evil.com", "agent.example.evil.com", "single", "",
            "xn--127", "localhost:80:90",
        ] {
            let refused = try await answer(port, host: host)
            #expect(refused.hasPrefix("HTTP/1.1 421 ") && refused.contains(#""code":"misdirected""#), "\(host): \(refused)")
        }
        #expect(try await answer(port, host: nil).hasPrefix("HTTP/1.1 421 "))
        // Unknown paths give nothing away. Health checks accept every name, since balancers choose
        // their own.
        #expect(try await answer(port, "/nowhere", host: "evil.example").hasPrefix("HTTP/1.1 421 "))
        for path in ["/health", "/health/live", "/health/ready"] {
            #expect(try await answer(port, path, host: "evil.example").hasPrefix("HTTP/1.1 200 "))
        }
        try await replica.stop()
    }

    /// A proxy that speaks HTTP/1.0 sends its own name for the server, or none. Browsers do not
    /// speak HTTP/1.0.
    @Test("An HTTP/1.0 request may have any Host header or none")
    func theNameInHostOfHTTP10() async throws {
        let (replica, port) = try await replica()
        for host in [nil, "upstream", "localhost"] as [String?] {
            #expect(try await answer(port, host: host, version: "1.0").hasPrefix("HTTP/1.0 200 "), "\(host ?? "none")")
        }
        for host in ["evil.example", "127.evil.com", "up stream"] {
            #expect(try await answer(port, host: host, version: "1.0").hasPrefix("HTTP/1.0 421 "), "\(host)")
        }
        #expect(try await answer(port, host: "upstream", ["Origin: http://evil.example"], version: "1.0").hasPrefix("HTTP/1.0 403 "))
        try await replica.stop()
    }

    @Test("Requests from web pages are refused")
    func thePageThatAsks() async throws {
        let (replica, port) = try await replica(["AGENT_RUNTIME__ALLOWED_HOSTS": "agent.example"])
        for fields in [
            [], ["Origin: http://localhost:3000"], ["Origin: http://127.0.0.1"], ["Origin: https://[::1]:1"],
            ["Origin: https://agent.example"], ["Sec-Fetch-Site: same-origin"], ["Sec-Fetch-Site: none"],
            ["Origin: http://localhost:3000", "Sec-Fetch-Site: same-site"],
        ] {
            #expect(try await answer(port, host: "localhost", fields).hasPrefix("HTTP/1.1 200 "), "\(fields)")
        }
        for fields in [
            ["Origin: https://evil.example"], ["Origin: null"], ["Origin: "], ["Origin: localhost"],
            ["Origin: http://localhost.evil.com"], ["Origin: http://127.evil.com"], ["Sec-Fetch-Site: cross-site"],
            ["Origin: http://localhost", "Sec-Fetch-Site: Cross-Site"],
        ] {
            let refused = try await answer(port, host: "localhost", fields)
            #expect(refused.hasPrefix("HTTP/1.1 403 ") && refused.contains(#""code":"forbidden_origin""#), "\(fields): \(refused)")
        }
        // A form or an image can send this request: a cancel needs no body.
        let session = SessionID.unique()
        let cancel = try await answer(
            port, "/agent/sessions/\(session)/cancel", host: "localhost", ["Origin: https://evil.example"], method: "POST")
        #expect(cancel.hasPrefix("HTTP/1.1 403 "))
        try await replica.stop()
    }

    /// A web page may send a body without a type to any server. It may send JSON only to a server
    /// that agrees.
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
