import SessionStore
import TestSupport
import Testing

/// Compares the native stream and the legacy response of a real server, byte for byte, with
/// recordings.
@Suite("The responses of a server as they were recorded", .tags(.processes), .serialized, .timeLimit(.minutes(2)))
struct NativeWireTests {
    private static let headers = [
        "Content-Type", "Cache-Control", "X-Accel-Buffering", "Location", "X-Agent-Replica", "Deprecation", "Link", "Retry-After",
    ]

    private func bytes(_ answer: Answer) -> String {
        let head = Self.headers.compactMap { name in answer.header(name).map { "\(name): \($0)\n" } }
        return "\(answer.status)\n\(head.joined())\n\(answer.text)\n"
    }

    @Test("The responses of every route that tells what a model says") func responses() async throws {
        let session = SessionID.unique().text
        let upstream = try await Upstream.start { _ in .text("one ", "two \u{2028}", "😀") }
        let replica = try await Replica.start(redis: try await RedisServer.shared().url, upstream: upstream.url, name: "one")
        let client = replica.client
        var recording = RecordedStreams(session: session)

        let told = try await client.say("hello", in: session, ["metadata": ["a": 1]], headers: ["Idempotency-Key": "k"])
        recording.add("said", bytes(told))
        for id in told.events.compactMap(\.id) {
            let headers = ["Last-Event-ID": id]
            recording.add("joined after \(id)", bytes(try await client.get("/agent/sessions/\(session)/stream", headers: headers)))
        }
        recording.add("joined", bytes(try await client.get("/agent/sessions/\(session)/stream")))
        upstream.answer { _ in
            .calls(
                (id: "a", name: "read_file", arguments: ["{\"path\":", "\"x\"}"]), (id: "b", name: "echo", arguments: [""]),
                text: ["I look."])
        }
        recording.add("calls", bytes(try await client.say("read", in: session)))
        recording.add("result of b", bytes(try await client.result("B", of: "b", in: session)))
        upstream.answer { _ in .text("fine") }
        recording.add("result of a", bytes(try await client.result("A", of: "a", in: session)))
        upstream.answer { _ in .error(400, "no") }
        recording.add("refused by the model", bytes(try await client.say("x", in: session)))
        recording.add("not accepted", bytes(try await client.post(["session_id": .string(session)])))

        let legacy: JSON = ["role": "user", "content": "Hi", "session_id": .string(session)]
        upstream.answer { _ in .text("Hel", "lo") }
        recording.add("legacy", bytes(try await client.send("POST", "/agent/message/stream/legacy", body: legacy.text)))
        upstream.answer { _ in .error(400, "no") }
        recording.add(
            "legacy, refused by the model", bytes(try await client.send("POST", "/agent/message/stream/legacy", body: legacy.text)))
        upstream.answer { _ in .calls((id: "c", name: "echo", arguments: ["{}"])) }
        recording.add("legacy, a call", bytes(try await client.send("POST", "/agent/message/stream/legacy", body: legacy.text)))
        #expect(try recording.difference(from: "wire") == nil)
    }
}
