import Foundation
import SessionStore
import TestSupport
import Testing

@Suite("Bound on the bytes of request bodies", .tags(.processes), .serialized, .timeLimit(.minutes(2)))
struct BodyBytesTests {
    private static let head = "POST /agent/message/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"

    @Test("A body beyond the bound is refused, and bodies already held are not")
    func whatHasNoRoomIsRefusedAndWhatIsThereIsNot() async throws {
        let redis = try await RedisServer.shared()
        let replica = try await Replica.start(
            redis: redis.url,
            environment: ["AGENT_RUNTIME__BODY_LIMIT": "1048576", "AGENT_RUNTIME__BODY_BYTES_IN_FLIGHT": "1048576"])
        let port = try #require(URL(string: replica.url)?.port)
        let session = SessionID.unique().text
        let body = #"{"session_id":"\#(session)","message":{"content":"hello"},"padding":"\#(String(repeating: "x", count: 700_000))"}"#
        // The body declares a megabyte. It does not count towards the limit before its bytes
        // arrive.
        let idle = try await RawHTTP.connect(port: port)
        try await idle.send(Self.head + "Content-Length: 1048576\r\n\r\n{")
        let slow = try await RawHTTP.connect(port: port)
        try await slow.send(Self.head + "Content-Length: \(body.utf8.count)\r\n\r\n" + body.dropLast(10))
        let other = SessionID.unique().text
        try await eventually("a large one is refused") {
            let answer = try await replica.client.say(String(repeating: "y", count: 500_000), in: other)
            return answer.status == 503 && answer.text.contains(#""code":"overloaded""#)
        }
        // A small body still fits.
        #expect(try await replica.client.say("hello", in: other).status == 200)
        try await slow.send(String(body.suffix(10)))
        try await eventually("the first one is answered") { slow.received.contains("event: done") }
        // After the body has ended, its bytes no longer count.
        #expect(try await replica.client.say(String(repeating: "y", count: 500_000), in: other).status == 200)
        for connection in [idle, slow] { connection.close() }
    }
}
