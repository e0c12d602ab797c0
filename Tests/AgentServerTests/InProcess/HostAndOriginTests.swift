import TestSupport
import Testing

/// A server without a key responds only to requests from its own machine, and refuses web pages of
/// other hosts.
@Suite("Hosts and origins of a server without an API key")
struct HostAndOriginTests {
    /// Returns the status line, headers and body of the response to one request.
    private func response(
        _ port: Int, _ target: String = "/openapi.json", host: String?, _ fields: [String] = [], method: String = "GET",
        body: String = "", version: String = "1.1"
    ) async throws -> String {
        let connection = try await RawHTTP.connect(host: "localhost", port: port)
        var head = ["\(method) \(target) HTTP/\(version)"] + (host.map { ["Host: \($0)"] } ?? []) + fields
        head += ["Connection: close"] + (body.isEmpty ? [] : ["Content-Length: \(body.utf8.count)"])
        try await connection.send(head.joined(separator: "\r\n") + "\r\n\r\n" + body)
        return try await within(.seconds(20), "the server closes") { try await connection.everything() }
    }

    @Test("Only loopback names in the Host header are accepted")
    func theNameInHost() async throws {
        try await InProcess.live(["AGENT_RUNTIME__ALLOWED_HOSTS": "agent.example, other.example:99,[fd00::1]"]) { port, _ in
            for host in [
                "localhost", "LocalHost:8001", "localhost.", "127.0.0.1", "127.0.0.1:\(port)", "127.1.2.3:1", "[::1]", "[::1]:\(port)",
                "agent.example", "AGENT.example:443", "other.example", "[fd00::1]:80",
            ] {
                #expect(try await response(port, host: host).hasPrefix("HTTP/1.1 200 "), "\(host)")
            }
            for host in [
                "evil.example", "127.evil.com", "127.0.0.1.evil.com", "localhost.evil.com", "127.0.0.1@evil.com", "evil.com:127.0.0.1",
                "128.0.0.1", "127.0.0", "127.0.0.256", "0.0.0.0", "[::2]", "[::1].evil.com", "agent.example.evil.com", "single", "",
                "xn--127", "localhost:80:90",
            ] {
                let refused = try await response(port, host: host)
                #expect(refused.hasPrefix("HTTP/1.1 421 ") && refused.contains(#""code":"misdirected""#), "\(host): \(refused)")
            }
            #expect(try await response(port, host: nil).hasPrefix("HTTP/1.1 421 "))
            // Responses to unknown paths reveal nothing. Health checks accept every name, because
            // balancers choose their own names.
            #expect(try await response(port, "/nowhere", host: "evil.example").hasPrefix("HTTP/1.1 421 "))
            for path in ["/health", "/health/live"] {
                #expect(try await response(port, path, host: "evil.example").hasPrefix("HTTP/1.1 200 "))
            }
            #expect(try await response(port, "/health/ready", host: "evil.example").hasPrefix("HTTP/1.1 503 "))
        }
    }

    /// A proxy that uses HTTP/1.0 sends its own name for the server, or none. Browsers do not use
    /// HTTP/1.0.
    @Test("An HTTP/1.0 request may have any Host header or none")
    func theNameInHostOfHTTP10() async throws {
        try await InProcess.live { (port: Int, _: AgentClient) async throws in
            for host in [nil, "upstream", "localhost"] as [String?] {
                #expect(try await response(port, host: host, version: "1.0").hasPrefix("HTTP/1.0 200 "), "\(host ?? "none")")
            }
            for host in ["evil.example", "127.evil.com", "up stream"] {
                #expect(try await response(port, host: host, version: "1.0").hasPrefix("HTTP/1.0 421 "), "\(host)")
            }
            #expect(try await response(port, host: "upstream", ["Origin: http://evil.example"], version: "1.0").hasPrefix("HTTP/1.0 403 "))
        }
    }

    @Test("Requests from web pages are refused")
    func thePageThatAsks() async throws {
        try await InProcess.live(["AGENT_RUNTIME__ALLOWED_HOSTS": "agent.example"]) { port, _ in
            for fields in [
                [], ["Origin: http://localhost:3000"], ["Origin: http://127.0.0.1"], ["Origin: https://[::1]:1"],
                ["Origin: https://agent.example"], ["Sec-Fetch-Site: same-origin"], ["Sec-Fetch-Site: none"],
                ["Origin: http://localhost:3000", "Sec-Fetch-Site: same-site"],
            ] {
                #expect(try await response(port, host: "localhost", fields).hasPrefix("HTTP/1.1 200 "), "\(fields)")
            }
            for fields in [
                ["Origin: https://evil.example"], ["Origin: null"], ["Origin: "], ["Origin: localhost"],
                ["Origin: http://localhost.evil.com"], ["Origin: http://127.evil.com"], ["Sec-Fetch-Site: cross-site"],
                ["Origin: http://localhost", "Sec-Fetch-Site: Cross-Site"],
            ] {
                let refused = try await response(port, host: "localhost", fields)
                #expect(refused.hasPrefix("HTTP/1.1 403 ") && refused.contains(#""code":"forbidden_origin""#), "\(fields): \(refused)")
            }
            // A form or an image of a web page can send this request, because a cancel needs no
            // body.
            let cancel = try await response(
                port, "/agent/sessions/s/cancel", host: "localhost", ["Origin: https://evil.example"], method: "POST")
            #expect(cancel.hasPrefix("HTTP/1.1 403 "))
        }
    }
}
