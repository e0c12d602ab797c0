import Foundation
import NIOCore
import NIOPosix
import SessionStore
import TestSupport
import Testing

@Suite("Connections beyond one request and its response", .tags(.processes), .serialized)
struct ConnectionTests: ServerSuite {
    let server: TestServer

    init() async throws {
        server = try await TestServer(environment: [
            "AGENT_RUNTIME__BODY_LIMIT": "2048", "AGENT_RUNTIME__KEEP_ALIVE_SECONDS": "1", "AGENT_RUNTIME__DRAIN_SECONDS": "1",
        ])
    }

    /// Sends bytes and returns all bytes that arrive until the server closes.
    private func exchange(_ text: String, halfClose: Bool = false) async throws -> String {
        let url = try #require(URL(string: replica.url))
        let connection = try await RawHTTP.connect(port: try #require(url.port))
        try await connection.send(text)
        if halfClose { try await connection.finishSending() }
        return try await within(.seconds(20), "the server closes") { try await connection.everything() }
    }

    @Test("The server closes the connection after a body that is too large")
    func aBodyThatIsTooLargeEndsTheConnection() async throws {
        let answer = try await exchange(
            "POST /agent/message/stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{")
        #expect(answer.hasPrefix("HTTP/1.1 413"))
        #expect(answer.lowercased().contains("connection: close"))
    }

    @Test("The server sends 100 Continue when the client waits for it")
    func aBodyIsAskedForWhenTheClientWaits() async throws {
        let body = AgentClient.body(SessionID.unique().text, ["content": "x"]).text
        let connection = try await RawHTTP.connect(port: try #require(URL(string: replica.url)?.port))
        try await connection.send(
            "POST /agent/message/stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        )
        try await eventually("100 Continue") { connection.received.hasPrefix("HTTP/1.1 100") }
        try await connection.send(body)
        try await eventually("the answer") { connection.received.contains("event: done") }
        connection.close()
    }

    @Test("A body that never arrives does not delay the stop")
    func aBodyThatIsNotThereDoesNotHoldUpTheStop() async throws {
        let connection = try await RawHTTP.connect(port: try #require(URL(string: replica.url)?.port))
        try await connection.send(
            "POST /agent/message/stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n{"
        )
        // The reply proves that the server has read the head.
        try await eventually("100 Continue") { connection.received.hasPrefix("HTTP/1.1 100") }
        replica.process.signal(15)
        #expect(try await replica.process.ended(timeout: .seconds(10)) == 0)
        connection.close()
    }

    @Test("The response to HEAD has no body")
    func theAnswerToHEADHasNoBody() async throws {
        let answer = try await exchange(
            "HEAD /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        #expect(answer.components(separatedBy: "HTTP/1.1 ").map { $0.prefix(3) } == ["", "404", "200"])
    }

    @Test("A client that closed its sending side still gets its response")
    func aClientThatHasFinishedSendingStillGetsItsAnswer() async throws {
        #expect(try await exchange("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", halfClose: true).contains("agent-runtime"))
    }

    /// The legacy endpoint collects a stream inside the server.
    @Test("A client of the legacy endpoint that closed its sending side still gets its response")
    func aLegacyClientThatHasFinishedSendingStillGetsItsAnswer() async throws {
        upstream.answer { _ in .text("Hello") }
        let body = #"{"role":"user","content":"Hi"}"#
        let head = "POST /agent/message/stream/legacy HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        let answer = try await exchange("\(head)Content-Length: \(body.utf8.count)\r\n\r\n\(body)", halfClose: true)
        #expect(answer.contains(#""message":"Hello""#))
    }

    @Test("A stopping server delivers a response to its end to a slow reader")
    func anAnswerThatIsReadSlowlyIsNotCutOffByTheStop() async throws {
        let piece = String(repeating: "x", count: 1000)
        upstream.answer { _ in .text(Array(repeating: piece, count: 3000)) }
        let session = SessionID.unique().text
        let first = try await post(AgentClient.body(session, ["content": "x"]).text)
        try await eventually("the answer") { first.received.hasSuffix("0\r\n\r\n") }
        first.close()
        // The request asks for several times as many bytes as the sockets can hold. The response is
        // one page.
        let port = try #require(URL(string: replica.url)?.port)
        let slow = try await RawHTTP.connect(port: port, reads: false)
        let request = "GET /agent/sessions/\(session)/history?offset=2 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        try await slow.send(String(repeating: request, count: 4))
        let other = try await RawHTTP.connect(port: port)
        try await other.send(request)
        try await eventually("as much as there is") { other.received.utf8.count > 3_000_000 }
        other.close()
        replica.process.signal(15)
        try await eventually("it stops") { try await !self.accepts(port) }
        slow.startReading()
        let received = try await within(.seconds(20), "the server closes") { try await slow.everything() }
        let answers = received.components(separatedBy: "HTTP/1.1 200 OK").dropFirst()
        #expect(!answers.isEmpty)
        for answer in answers { #expect(answer.hasSuffix("}")) }
        #expect(try await replica.process.ended(timeout: .seconds(15)) == 0)
    }

    private func accepts(_ port: Int) async throws -> Bool {
        do {
            let connection = try await RawHTTP.connect(port: port)
            connection.close()
            return true
        } catch {
            return false
        }
    }

    /// The model is silent. Tool arguments count as silence, too, because the client gets them only
    /// at their end.
    @Test("A stream carries keep-alive comments while the model is silent")
    func silenceIsFilledWithComments() async throws {
        let gate = Gate()
        upstream.answer { _ in
            var answer = UpstreamAnswer()
            answer.add(delta: ["content": "a"])
            for index in 0..<15 {
                answer.add(delta: [
                    "tool_calls": [["index": 0, "id": "c", "function": ["name": "echo", "arguments": index == 0 ? "{" : " "]]]
                ])
                answer.parts.append(.pause(.milliseconds(100)))
            }
            answer.parts.append(.gate(gate))
            answer.add(delta: ["tool_calls": [["index": 0, "function": ["arguments": "}"]]]])
            answer.end(finish: "tool_calls")
            return answer
        }
        let connection = try await post(AgentClient.body(SessionID.unique().text, ["content": "x"]).text)
        try await eventually("a comment") { connection.received.contains(": keep-alive\n\n") }
        #expect(gate.arrivals == 0)
        gate.open()
        try await eventually("the end") { connection.received.contains("event: done") }
        connection.close()
    }

    private func post(_ body: String, reads: Bool = true) async throws -> RawHTTP {
        let connection = try await RawHTTP.connect(port: try #require(URL(string: replica.url)?.port), reads: reads)
        try await connection.send(
            "POST /agent/message/stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        )
        return connection
    }

    @Test("A step goes on after its client disconnects, and its message enters the history")
    func aClientThatLeaves() async throws {
        let session = SessionID.unique()
        let gate = Gate()
        upstream.answer { _ in UpstreamAnswer.text("still", " here").inserting(.gate(gate), after: 2) }
        let connection = try await post(AgentClient.body(session.text, ["content": "x"]).text)
        try await eventually("the first token") { connection.received.contains("still") }
        connection.close()
        gate.open()
        try await eventually("the answer is stored") { try redis.history(session).last?["content"].string == "still here" }
    }

    @Test("A client that does not read does not delay the stop")
    func aClientThatDoesNotReadDoesNotHoldUpTheStop() async throws {
        // The last event repeats the whole text, which is far larger than the sockets' buffers.
        let piece = String(repeating: "x", count: 1000)
        upstream.answer { _ in .text(Array(repeating: piece, count: 900)) }
        var stuck: [RawHTTP] = []
        for _ in 0..<3 {
            let connection = try await post(AgentClient.body(SessionID.unique().text, ["content": "x"]).text, reads: false)
            stuck.append(connection)
        }
        try await eventually("the answers are stored") { upstream.requests.count == 3 && upstream.openAnswers == 0 }
        replica.process.signal(15)
        #expect(try await replica.process.ended(timeout: .seconds(15)) == 0)
        for connection in stuck { connection.close() }
    }
}
