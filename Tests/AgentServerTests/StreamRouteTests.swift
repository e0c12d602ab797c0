import Foundation
import NIOCore
import SessionStore
import TestSupport
import Testing

/// `GET /agent/sessions/{id}/stream`, and `POST` with `Last-Event-ID`.
@Suite("Resuming a stream over HTTP", .tags(.processes), .serialized, .timeLimit(.minutes(3)))
struct StreamRouteTests {
    let upstream: Upstream
    let replica: Replica
    var client: AgentClient { replica.client }

    init() async throws {
        let redis = try await RedisServer.shared()
        let upstream = try await Upstream.start { _ in .text("one ", "two ", "three") }
        replica = try await Replica.start(
            redis: redis.url, upstream: upstream.url, name: "one", environment: ["AGENT_RUNTIME__CLIENT_BACKLOG": "65536"])
        self.upstream = upstream
    }

    private func stream(_ session: String, after id: String? = nil) async throws -> Answer {
        try await client.get("/agent/sessions/\(session)/stream", headers: id.map { ["Last-Event-ID": $0] } ?? [:])
    }

    @Test("The last event id may come in the header or in the query")
    func theIDMayStandInTheHeaderOrInTheQuery() async throws {
        let session = SessionID.unique().text
        let told = try await client.say("hello", in: session)
        let path = try #require(told.header("Location"))
        #expect(path == "/agent/sessions/\(session)/stream")
        let whole = try await client.get(path)
        #expect(whole.status == 200 && whole.header("Content-Type") == "text/event-stream")
        #expect(whole.header("Cache-Control") == "no-store, no-transform" && whole.header("X-Accel-Buffering") == "no")
        #expect(whole.replica == "one")
        #expect(whole.events == told.events)
        for (index, event) in told.events.dropLast().enumerated() {
            let id = try #require(event.id)
            let rest = Array(told.events.dropFirst(index + 1))
            #expect(try await stream(session, after: id).events == rest)
            #expect(try await client.get(path + "?last_event_id=\(id)").events == rest)
            // A browser that reconnects still uses the URL of its first request.
            let first = try #require(told.events[0].id)
            #expect(try await client.get(path + "?last_event_id=\(first)", headers: ["Last-Event-ID": id]).events == rest)
        }
        let last = try #require(told.events.last?.id)
        let nothing = try await stream(session, after: last)
        #expect(nothing.status == 204 && nothing.body.readableBytes == 0)
        #expect(nothing.header("Content-Type") == nil)
        // Before its first event, a client sends an empty header.
        #expect(try await stream(session, after: "").events == told.events)
        let second = try #require(told.events[1].id)
        let answer = try await client.get(path + "?last_event_id=\(second)", headers: ["Last-Event-ID": ""])
        #expect(answer.events == Array(told.events.dropFirst(2)))
    }

    @Test("Errors are returned before the stream begins")
    func whatIsWrongIsSaidBeforeTheStream() async throws {
        let session = SessionID.unique().text
        let told = try await client.say("hello", in: session)
        for id in ["x", "1", "1-1", "0-1.aaaa", "01-1.aaaa", "1-1.AAAA", "-1-1.aaaa", String(repeating: "1", count: 100)] {
            let answer = try await stream(session, after: id)
            #expect(answer.status == 400 && answer.code == "invalid_request", "\(id): \(answer.text)")
            let post = try await client.say("hello", in: session, headers: ["Idempotency-Key": "k", "Last-Event-ID": id])
            #expect(post.status == 400 && post.code == "invalid_request", "\(id): \(post.text)")
        }
        let missing = try await stream(SessionID.unique().text)
        #expect(missing.status == 404 && missing.code == "session_not_found")
        #expect(try await stream(SessionID.unique().text, after: "1-1.aaaa").status == 404)
        #expect(try await stream("a%20b").code == "invalid_request")
        let path = "/agent/sessions/\(session)/stream"
        for accept in ["application/json", "text/event-stream;q=0", "text/event-stream; q=0.0, */*", "*/*;q=0"] {
            #expect(try await client.get(path, headers: ["Accept": accept]).status == 406, "\(accept)")
        }
        let post = try await client.send("POST", path, body: "{}")
        #expect(post.status == 405 && post.header("Allow") == "GET, HEAD")
        let head = try await client.send("HEAD", path)
        #expect(head.status == 200 && head.body.readableBytes == 0 && head.header("Content-Type") == "text/event-stream")
        let last = try #require(told.events.last?.id)
        #expect(try await client.send("HEAD", path, headers: ["Last-Event-ID": last]).status == 204)
        #expect(try await client.send("HEAD", "/agent/sessions/\(SessionID.unique())/stream").status == 404)
    }

    @Test("A resumed request with another body is refused")
    func aResumedRequestMustBeTheSame() async throws {
        let session = SessionID.unique().text
        let headers = ["Idempotency-Key": "k"]
        let told = try await client.say("hello", in: session, headers: headers)
        let id = try #require(told.events.first?.id)
        let rest = try await client.say("hello", in: session, headers: headers.merging(["Last-Event-ID": id]) { $1 })
        #expect(rest.events == Array(told.events.dropFirst()))
        let other = try await client.say("bye", in: session, headers: headers.merging(["Last-Event-ID": id]) { $1 })
        #expect(other.status == 422 && other.code == "idempotency_mismatch")
    }

    @Test("A slow client is cut off and gets the complete text after it resumes (I5)")
    func aSlowClientIsCutOffAndResumes() async throws {
        let session = SessionID.unique().text
        let piece = String(repeating: "x", count: 1000)
        let tokens = (0..<3500).map { "\($0) \(piece) " }
        upstream.answer { _ in .text(tokens) }
        let body = AgentClient.body(session, ["content": "hello"]).text
        let slow = try await RawHTTP.connect(port: try #require(URL(string: replica.url)?.port), reads: false)
        try await slow.send(
            "POST /agent/message/stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        )
        try await eventually("the step has ended", timeout: .seconds(60)) {
            try await client.get("/agent/sessions/\(session)").json["status"] == "idle"
        }
        slow.startReading()
        // The client still gets the bytes in flight. Then the connection ends without the stream's
        // end.
        let received = try await within(.seconds(20), "the server cuts it off") { (try? await slow.everything()) ?? slow.received }
        #expect(!received.contains("event: done"))
        let blocks = received.components(separatedBy: "\n\n").dropLast()
        let id = try #require(blocks.last?.firstMatch(of: /id: ([^\n]+)\n/)?.output.1)
        let heard = blocks.compactMap { $0.firstMatch(of: /"token":"([^"]*)"/)?.output.1 }.joined()
        #expect(!heard.isEmpty)
        let rest = try await stream(session, after: String(id))
        #expect(heard + rest.tokens == tokens.joined())
        #expect(rest.content == tokens.joined())
        #expect(rest.done["status"] == "completed")
    }
}
