import HTTPTypes
import HummingbirdTesting
import SessionStore
import TestSupport
import Testing

@testable import agent_server

@Suite("The rows of the error table in docs/http-errors.md that need no Redis")
struct RequestErrorTests {
    /// Checks the members that every error response contains.
    private func expect(
        _ response: TestResponse, _ status: Int, _ code: String, names field: String? = nil,
        _ location: SourceLocation = #_sourceLocation
    ) {
        #expect(response.status.code == status, "\(response.text)", sourceLocation: location)
        #expect(response.code == code, "\(response.text)", sourceLocation: location)
        #expect(response.headers[.contentType] == "application/problem+json", sourceLocation: location)
        #expect(response.headers[.requestID] != nil, sourceLocation: location)
        #expect(response.json["status"].int == status, sourceLocation: location)
        #expect(
            response.json["type"].string != nil && response.json["title"].string?.isEmpty == false, sourceLocation: location)
        if let field {
            let detail = response.json["detail"].string ?? ""
            #expect(detail.contains(field), "\(detail) names \(field)", sourceLocation: location)
        }
    }

    private func send(_ body: String, headers: HTTPFields = [:]) async throws -> TestResponse {
        try await InProcess.router { try await $0.send(.post, "/agent/message/stream", body: body, headers: headers) }
    }

    @Test(
        "A body that is not JSON is refused",
        arguments: [
            "", "{", "{\"session_id\":", "nonsense", "{} {}", "\u{FEFF}", "{}\u{FEFF}", "\u{FEFF}\u{FEFF}{}", "{\"a\":\"\\ud800\"}",
            String(repeating: "[", count: 5000),
        ])
    func bodiesThatAreNoJSON(_ body: String) async throws {
        expect(try await send(body), 400, "invalid_json")
    }

    @Test(
        "The error names the field that cannot be used",
        arguments: [
            ("[]", "object"), ("\"text\"", "object"), ("{}", "session_id"), ("\u{FEFF}{}", "session_id"),
            (#"{"session_id":1,"message":{"content":"x"}}"#, "session_id"),
            (#"{"session_id":"","message":{"content":"x"}}"#, "session_id"),
            (#"{"session_id":"a b","message":{"content":"x"}}"#, "session_id"),
            (#"{"session_id":"a}b","message":{"content":"x"}}"#, "session_id"), (#"{"session_id":"s"}"#, "message"),
            (#"{"session_id":"s","message":null}"#, "message"), (#"{"session_id":"s","message":"hello"}"#, "message"),
            (#"{"session_id":"s","message":{}}"#, "message.content"), (#"{"session_id":"s","message":{"content":7}}"#, "message.content"),
            (#"{"session_id":"s","message":{"content":[]}}"#, "message.content"),
            (#"{"session_id":"s","message":{"content":[{"text":"x"}]}}"#, "message.content[0]"),
            (#"{"session_id":"s","message":{"type":"assistant","content":"x"}}"#, "message.type"),
            (#"{"session_id":"s","message":{"type":7,"content":"x"}}"#, "message.type"),
            (#"{"session_id":"s","message":{"type":"tool_result","result":1}}"#, "message.call_id"),
            (#"{"session_id":"s","message":{"type":"tool_result","call_id":"","result":1}}"#, "message.call_id"),
            (#"{"session_id":"s","message":{"type":"tool_result","call_id":"c"}}"#, "message.result"),
            (#"{"session_id":"s","message":{"type":"tool_result","call_id":"c","result":1,"error":"e"}}"#, "error"),
            (#"{"session_id":"s","message":{"type":"tool_result","call_id":"c","content":[]}}"#, "message.content"),
            (#"{"session_id":"s","message":{"type":"tool_result","call_id":"c","content":[{"text":"x"}]}}"#, "message.content[0]"),
            (#"{"session_id":"s","message":{"type":"tool_result","call_id":"c","content":"x"}}"#, "message.result"),
            (#"{"session_id":"s","message":{"type":"tool_result","call_id":"c","content":[{"type":"text"}],"result":1}}"#, "content"),
            (#"{"session_id":"s","message":{"type":"tool_result","call_id":"c","content":[{"type":"text"}],"error":"e"}}"#, "content"),
            (#"{"session_id":"s","message":{"type":"tool_result","call_id":"c","error":{"a":1}}}"#, "message.error"),
            (#"{"session_id":"s","message":{"type":"tool_result","call_id":"c","tool_name":7,"result":1}}"#, "message.tool_name"),
            (#"{"session_id":"s","message":{"content":"x"},"tools":{}}"#, "tools"),
            (#"{"session_id":"s","message":{"content":"x"},"tools":[{"type":"function"}]}"#, "tools[0].function.name"),
            (#"{"session_id":"s","message":{"content":"x"},"tools":[{"type":"retrieval"}]}"#, "tools[0].type"),
            (#"{"session_id":"s","message":{"content":"x"},"model":""}"#, "model"),
            (#"{"session_id":"s","message":{"content":"x"},"on_conflict":"panic"}"#, "on_conflict"),
            (#"{"session_id":"s","message":{"content":"x"},"on_disconnect":"panic"}"#, "on_disconnect"),
            (#"{"session_id":"s","message":{"content":"x"},"expected_length":-1}"#, "expected_length"),
            (#"{"session_id":"s","message":{"content":"x"},"expected_length":"3"}"#, "expected_length"),
            (#"{"session_id":"s","message":{"content":"x"},"metadata":[]}"#, "metadata"),
        ]) func fieldsThatCannotBeUsed(_ body: String, field: String) async throws
    {
        expect(try await send(body), 400, "invalid_request", names: field)
    }

    private static let message = AgentClient.body("s", ["content": "x"]).text

    @Test("An idempotency key of the wrong length is refused")
    func anIdempotencyKeyOfTheWrongLength() async throws {
        for length in [0, 129] {
            let key = String(repeating: "k", count: length)
            expect(
                try await send(Self.message, headers: [.idempotencyKey: key]), 400, "invalid_request",
                names: "Idempotency-Key")
        }
    }

    @Test(
        "The error names the parameter that cannot be used",
        arguments: [
            ("/agent/sessions/a%20b", "session_id"), ("/agent/sessions/s/history?limit=0", "limit"),
            ("/agent/sessions/s/history?include_system=1", "include_system"),
            ("/agent/sessions/s/history?offset=99999999999999999999", "offset"), ("/agent/sessions?cursor=nonsense", "cursor"),
            ("/agent/sessions/s/stream?last_event_id=nonsense", "Last-Event-ID"),
        ]) func parametersThatCannotBeUsed(_ path: String, name: String) async throws
    {
        expect(try await InProcess.router { try await $0.send(.get, path) }, 400, "invalid_request", names: name)
    }

    @Test("Unknown paths get 404, wrong methods 405")
    func pathsAndMethods() async throws {
        try await InProcess.router { client in
            expect(try await client.send(.get, "/nowhere"), 404, "not_found", names: "/nowhere")
            let put = try await client.send(.put, "/agent/message/stream", body: "{}")
            expect(put, 405, "method_not_allowed")
            #expect(put.headers[.allow] == "POST")
            expect(try await client.send(.post, "/health", body: "{}"), 405, "method_not_allowed")
        }
    }

    @Test("Media types, codings and origins decide whether a body is accepted")
    func typesAndCodings() async throws {
        try await InProcess.router(["AGENT_RUNTIME__BODY_LIMIT": "2048"]) { client in
            func post(_ headers: HTTPFields) async throws -> TestResponse {
                try await client.send(.post, "/agent/message/stream", body: Self.message, headers: headers)
            }
            expect(try await post([.contentType: "text/plain"]), 415, "unsupported_media_type")
            for coding in ["gzip", "deflate, gzip", "br"] {
                expect(try await post([.contentEncoding: coding]), 415, "unsupported_media_type", names: "Content-Encoding")
            }
            expect(try await post([.accept: "text/html"]), 406, "not_acceptable")
            expect(try await post([.origin: "https://evil.example"]), 403, "forbidden_origin")
            // The server accepts all of these, and then finds that Redis is away.
            for headers: HTTPFields in [
                [.contentType: "application/json; charset=utf-8"], [.contentType: "application/x+json"],
                [.contentEncoding: "identity"], [.accept: "text/html, */*;q=0.1"],
            ] {
                expect(try await post(headers), 503, "store_unavailable")
            }
        }
    }

    @Test("A body over the limit is refused")
    func aBodyThatIsTooLarge() async throws {
        try await InProcess.router(["AGENT_RUNTIME__BODY_LIMIT": "2048"]) { client in
            let body = AgentClient.body("s", ["content": .string(String(repeating: "x", count: 4096))]).text
            expect(try await client.send(.post, "/agent/message/stream", body: body), 413, "body_too_large", names: "2048")
        }
    }

    @Test("Every path but the health checks requires the API key")
    func theKey() async throws {
        try await InProcess.router(["AGENT_RUNTIME__INTERNAL_API_KEY": "s3cret-key"]) { client in
            for headers: HTTPFields in [
                [:], [.internalAuth: "wrong"], [.authorization: "Bearer wrong"], [.authorization: "Basic s3cret-key"],
                [.authorization: "Bearer"],
            ] {
                let refused = try await client.send(.post, "/agent/message/stream", body: Self.message, headers: headers)
                expect(refused, 401, "unauthorized")
                #expect(refused.headers[.wwwAuthenticate] == "Bearer")
            }
            // Only the paths of the health checks need no key, in whichever spelling a client sends
            // a path.
            for path in [
                "/agent/sessions", "/openapi.json", "//agent/sessions", "/health/../agent/sessions",
                "/health/%2e%2e/agent/sessions",
            ] {
                #expect(try await client.send(.get, path).status.code != 200, "\(path)")
            }
            for path in ["/health", "/health/live"] { #expect(try await client.send(.get, path).status.code == 200) }
            for headers: HTTPFields in [[.internalAuth: "s3cret-key"], [.authorization: "bearer s3cret-key"]] {
                #expect(try await client.send(.get, "/openapi.json", headers: headers).status.code == 200)
            }
        }
    }

    @Test("Without Redis, sessions get 503 and the process stays alive")
    func redisIsAway() async throws {
        try await InProcess.router { client in
            for path in ["/agent/sessions", "/agent/sessions/s", "/agent/sessions/s/history"] {
                let response = try await client.send(.get, path)
                expect(response, 503, "store_unavailable")
                #expect(response.headers[.retryAfter] != nil)
            }
            expect(try await client.send(.get, "/health/ready"), 503, "store_unavailable")
            #expect(try await client.send(.get, "/health/live").status.code == 200)
        }
    }
}
