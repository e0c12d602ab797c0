import Foundation
import NIOCore
import SessionStore
import TestSupport
import Testing

@Suite("HTTP/1.0, broken bodies and broken connections", .tags(.processes), .serialized)
struct HTTPVersionTests {
    let upstream: Upstream
    let replica: Replica
    let port: Int

    init() async throws {
        let redis = try await RedisServer.shared()
        upstream = try await Upstream.start()
        replica = try await Replica.start(
            redis: redis.url, upstream: upstream.url, environment: ["AGENT_RUNTIME__LOG_LEVEL": "debug"])
        port = try #require(URL(string: replica.url)?.port)
    }

    private func request(_ version: String, _ fields: [String] = [], _ body: String) -> String {
        (["POST /agent/message/stream HTTP/\(version)", "Host: localhost", "Content-Type: application/json"] + fields + ["", body])
            .joined(separator: "\r\n")
    }

    private func message() -> String { AgentClient.body(SessionID.unique().text, ["content": "x"]).text }

    /// HTTP/1.0 does not define chunked coding.
    @Test(
        "An HTTP/1.0 client gets a stream without chunks that ends with the connection",
        arguments: ["Connection: close", "Connection: keep-alive", "X-None: 1"]
    )
    func aStreamOverHTTP10(_ field: String) async throws {
        let gate = Gate()
        upstream.answer { _ in UpstreamAnswer.text("first", "second").inserting(.gate(gate), after: 2) }
        let connection = try await RawHTTP.connect(port: port)
        let body = message()
        try await connection.send(request("1.0", [field, "Expect: 100-continue", "Content-Length: \(body.utf8.count)"], body))
        try await eventually("the first token, while the model writes") { connection.received.contains("first") }
        #expect(!connection.received.contains("second"))
        gate.open()
        let received = try await within(.seconds(20), "the server closes") { try await connection.everything() }
        let parts = received.components(separatedBy: "\r\n\r\n")
        let head = try #require(parts.first).lowercased()
        #expect(head.hasPrefix("http/1.0 200") && head.contains("connection: close") && !head.contains("transfer-encoding"))
        #expect(parts.count == 2 && parts[1].hasPrefix("id: ") && parts[1].hasSuffix("\n\n"))
        for block in parts[1].components(separatedBy: "\n\n").dropLast() {
            #expect(block.hasPrefix("id: ") && block.contains("\ndata: {"), "\(block)")
        }
        #expect(parts[1].contains("event: done"))
    }

    @Test("The server answers one HTTP/1.0 request and closes the connection")
    func otherAnswersToHTTP10() async throws {
        for (line, status) in [("GET /health", "200"), ("GET /nowhere", "404"), ("HEAD /health", "200")] {
            let connection = try await RawHTTP.connect(port: port)
            // The second request gets no response, because the connection ends after the first
            // response.
            try await connection.send("\(line) HTTP/1.0\r\nHost: localhost\r\n\r\nGET /health HTTP/1.0\r\n\r\n")
            let received = try await within(.seconds(20), "the server closes") { try await connection.everything() }
            #expect(received.hasPrefix("HTTP/1.0 \(status) ") && received.components(separatedBy: "HTTP/1.").count == 2, "\(received)")
        }
    }

    /// The client pipelines its requests.
    @Test("An HTTP/1.0 request pipelined behind an HTTP/1.1 request ends the connection after its response")
    func anOldRequestBehindANewOne() async throws {
        let body = message()
        let connection = try await RawHTTP.connect(port: port)
        try await connection.send(
            request("1.1", ["Content-Length: \(body.utf8.count)"], body) + "GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n")
        let received = try await within(.seconds(20), "the server closes") { try await connection.everything() }
        let answers = received.components(separatedBy: "HTTP/1.")
        #expect(answers.count == 3 && answers[1].hasPrefix("1 200") && answers[2].hasPrefix("0 200"), "\(received)")
        #expect(answers[1].lowercased().contains("transfer-encoding: chunked") && answers[1].hasSuffix("0\r\n\r\n"))
    }

    @Test(
        "A body with broken chunks gets one 400 response",
        arguments: ["zz\r\n{}\r\n", "5\r\n{}x", "-1\r\n", "5\r\nabcdefgh\r\n0\r\n\r\n", "\r\n\r\n", "ffffffffffffffffff\r\n"]
    )
    func aBodyThatIsNotChunked(_ bytes: String) async throws {
        let connection = try await RawHTTP.connect(port: port)
        try await connection.send(request("1.1", ["Transfer-Encoding: chunked"], bytes))
        // The server may already have closed the connection.
        try? await connection.finishSending()
        let received = try await within(.seconds(20), "the server closes") { try await connection.everything() }
        #expect(received.components(separatedBy: "HTTP/1.1 ").count == 2, "one answer: \(received)")
        #expect(received.hasPrefix("HTTP/1.1 400 ") && received.contains(#""code":"inval"#), "\(received)")
        #expect(!replica.process.log.contains("error agent-server"))
    }

    @Test("A connection that breaks inside a body logs no error")
    func aConnectionThatBreaksOffWithinABodyIsNoError() async throws {
        for reset in [false, true] {
            let connection = try await RawHTTP.connect(port: port)
            try await connection.send(request("1.1", ["Content-Length: 1000", "X-Request-ID: broken-\(reset)"], "{"))
            try await connection.leave(reset: reset)
            try await eventually("the request is over; the log: \(replica.process.log.suffix(1000))") {
                replica.process.log.contains("request=broken-\(reset)")
            }
        }
        #expect(try await replica.client.get("/health").status == 200)
        #expect(!replica.process.log.contains("error agent-server"))
    }
}
