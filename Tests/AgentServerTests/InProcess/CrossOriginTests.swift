import FoundationEssentials
import HTTPTypes
import TestSupport
import Testing

@testable import agent_server

/// Web pages of the origins that `AGENT_RUNTIME__CORS_ORIGINS` names, and of others.
@Suite("Web pages of other hosts")
struct CrossOriginTests {
    private static let page = "https://app.example"
    private static let key = "a-key-of-some-length"

    /// A response's status and headers, in lower case.
    private struct Head {
        var status: Int
        var fields: [String: String]
        var text: String

        subscript(_ name: String) -> String? { fields[name] }
    }

    private func response(
        _ port: Int, _ method: String, _ target: String, host: String = "localhost", _ fields: [String] = [], body: String = ""
    ) async throws -> Head {
        let connection = try await RawHTTP.connect(host: "localhost", port: port)
        var head = ["\(method) \(target) HTTP/1.1", "Host: \(host)"] + fields
        head += ["Connection: close"] + (body.isEmpty ? [] : ["Content-Length: \(body.utf8.count)"])
        try await connection.send(head.joined(separator: "\r\n") + "\r\n\r\n" + body)
        let text = try await within(.seconds(20), "the server closes") { try await connection.everything() }
        var lines = text.components(separatedBy: "\r\n")
        let status = Int(lines.removeFirst().split(separator: " ").dropFirst().first ?? "") ?? 0
        var found: [String: String] = [:]
        for line in lines.prefix(while: { !$0.isEmpty }) {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            found[parts[0].lowercased(), default: ""] += (found[parts[0].lowercased()] == nil ? "" : ", ") + parts[1].trimmingSpaces
        }
        return Head(status: status, fields: found, text: text)
    }

    private func preflight(_ origin: String, _ method: String = "POST") -> [String] {
        ["Origin: \(origin)", "Access-Control-Request-Method: \(method)", "Access-Control-Request-Headers: authorization"]
    }

    @Test("A preflight of a listed origin needs no key")
    func preflights() async throws {
        let environment = [
            "AGENT_RUNTIME__CORS_ORIGINS": "https://other.example, \(Self.page)", "AGENT_RUNTIME__INTERNAL_API_KEY": Self.key,
        ]
        try await InProcess.live(environment) { port, _ in
            for endpoint in Endpoint.allCases {
                let path = endpoint.path.replacing("{session_id}", with: "s-1").replacing("{subject}", with: "u-1")
                let granted = try await response(port, "OPTIONS", path, host: "agent.example", preflight(Self.page))
                #expect(granted.status == 204 && granted["access-control-allow-origin"] == Self.page, "\(path): \(granted.text)")
                let methods = granted["access-control-allow-methods"]?.components(separatedBy: ", ") ?? []
                #expect(Set(methods) == Set(Endpoint.methods(of: path).map(\.rawValue)) && methods.contains(endpoint.method.rawValue))
                let headers = granted["access-control-allow-headers"]?.components(separatedBy: ", ") ?? []
                #expect(
                    Set(headers) == [
                        "authorization", "content-type", "idempotency-key", "last-event-id", "traceparent", "x-request-id",
                        "x-agent-subject", "x-internal-auth",
                    ])
                #expect(granted["access-control-max-age"] == "600" && granted["vary"] == "Origin")
                #expect(granted["access-control-allow-credentials"] == "true" && granted["x-request-id"] != nil)
            }
            // Nothing is granted to other pages, for unknown paths, or to what is not a preflight.
            for (path, fields) in [
                ("/agent/sessions", preflight("https://evil.example")), ("/agent/sessions", preflight("\(Self.page).evil.example")),
                ("/agent/sessions", preflight("null")), ("/nowhere", preflight(Self.page)), ("/agent/sessions", ["Origin: \(Self.page)"]),
                ("/agent/sessions", ["Access-Control-Request-Method: GET"]),
            ] {
                let refused = try await response(port, "OPTIONS", path, fields)
                #expect(refused.status == 401 && refused["access-control-allow-methods"] == nil, "\(path) \(fields): \(refused.text)")
                let isListed = fields.contains("Origin: \(Self.page)")
                #expect((refused["access-control-allow-origin"] != nil) == isListed && refused["vary"] == "Origin")
            }
        }
    }

    @Test("A listed page may read every response, errors included")
    func responses() async throws {
        let environment = ["AGENT_RUNTIME__CORS_ORIGINS": Self.page, "AGENT_RUNTIME__INTERNAL_API_KEY": Self.key]
        try await InProcess.live(environment) { port, _ in
            let key = "X-Internal-Auth: \(Self.key)"
            for (target, fields, status) in [
                ("/openapi.json", [key], 200), ("/openapi.json", [], 401), ("/nowhere", [key], 404),
                ("/agent/sessions/a..b%20", [key], 400),
                ("/agent/sessions/s", [key], 503), ("/health", [], 200),
            ] {
                let read = try await response(port, "GET", target, fields + ["Origin: \(Self.page)"])
                #expect(read.status == status && read["access-control-allow-origin"] == Self.page, "\(target): \(read.text)")
                #expect(read["vary"] == "Origin" && read["access-control-allow-credentials"] == "true")
                let exposed = read["access-control-expose-headers"]?.components(separatedBy: ", ") ?? []
                #expect(
                    Set(exposed).isSuperset(of: [
                        "location", "retry-after", "ratelimit", "ratelimit-policy", "x-request-id", "x-agent-replica", "traceresponse",
                        "x-agent-unknown-members",
                    ]))
                for other in [["Origin: https://evil.example"], []] {
                    let unread = try await response(port, "GET", target, fields + other)
                    #expect(unread.status == status && unread["vary"] == "Origin", "\(target): \(unread.text)")
                    #expect(!unread.fields.keys.contains { $0.hasPrefix("access-control-") })
                }
            }
        }
    }

    @Test("Without the setting no response names an origin")
    func offByDefault() async throws {
        try await InProcess.live(["AGENT_RUNTIME__INTERNAL_API_KEY": Self.key]) { (port: Int, _: AgentClient) async throws in
            let refused = try await response(port, "OPTIONS", "/agent/sessions", preflight(Self.page))
            #expect(refused.status == 401 && refused["vary"] == nil)
            #expect(!refused.fields.keys.contains { $0.hasPrefix("access-control-") })
        }
    }

    /// What a browser sends, in all combinations, to a server without a key. Its Redis is away: a
    /// message that the server accepts so far gets 503.
    @Test("A server without a key accepts listed pages under its own names only")
    func withoutAKey() async throws {
        try await InProcess.live(["AGENT_RUNTIME__CORS_ORIGINS": Self.page]) { (port: Int, _: AgentClient) async throws in
            let body = #"{"session_id":"s","message":{"content":"x"}}"#
            for host in ["localhost", "evil.example"] {
                for origin in [nil, Self.page, "http://localhost:3000", "https://evil.example", "null"] as [String?] {
                    for site in [nil, "same-origin", "same-site", "cross-site", "none"] as [String?] {
                        for type in [nil, "text/plain", "application/json"] as [String?] {
                            var fields = origin.map { ["Origin: \($0)"] } ?? []
                            fields += site.map { ["Sec-Fetch-Site: \($0)"] } ?? []
                            fields += type.map { ["Content-Type: \($0)"] } ?? []
                            let isPage = origin == Self.page
                            let isOwn = (origin == nil || origin == "http://localhost:3000") && site != "cross-site"
                            let expected =
                                host != "localhost" ? 421 : !isPage && !isOwn ? 403 : type == "application/json" ? 503 : 415
                            let head = try await response(port, "POST", "/agent/message/stream", host: host, fields, body: body)
                            #expect(head.status == expected, "\(host) \(fields): \(head.text)")
                            #expect(head["access-control-allow-origin"] == (isPage ? Self.page : nil))
                        }
                    }
                }
            }
        }
    }

    @Test("Every origin is allowed only where no credential is configured")
    func everyOrigin() async throws {
        try await InProcess.live(["AGENT_RUNTIME__CORS_ORIGINS": "*"]) { (port: Int, _: AgentClient) async throws in
            let read = try await response(port, "GET", "/openapi.json", ["Origin: https://any.example", "Sec-Fetch-Site: cross-site"])
            #expect(read.status == 200 && read["access-control-allow-origin"] == "*")
            // Browsers ignore the star if the page may send cookies.
            #expect(read["access-control-allow-credentials"] == nil)
            #expect(try await response(port, "GET", "/openapi.json", host: "evil.example", ["Origin: https://a.example"]).status == 421)
        }
        #expect {
            _ = try Settings(
                SettingsReader(environment: ["AGENT_RUNTIME__CORS_ORIGINS": "*", "AGENT_RUNTIME__INTERNAL_API_KEY": Self.key], flags: []))
        } throws: { error in
            "\(error)".contains("AGENT_RUNTIME__CORS_ORIGINS") && "\(error)".contains("*")
        }
    }
}
