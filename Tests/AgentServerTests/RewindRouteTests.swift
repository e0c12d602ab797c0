import SessionStore
import TestSupport
import Testing

/// A client repairs a session whose history the model's server refuses.
@Suite("Rewinding a session over HTTP", .tags(.processes), .serialized, .timeLimit(.minutes(2)))
struct RewindRouteTests {
    /// An upstream that behaves like OpenAI's server, and cannot read one image.
    private static func refusingImages() async throws -> Upstream {
        try await Upstream.start { request in
            request.messages.contains { $0["content"] == "~" } ? .error(400, "Invalid image.") : .text("fine")
        }
    }

    @Test("The next message replaces the one that the model's server refused")
    func aRefusedMessageGoesWhenTheNextOneComes() async throws {
        let upstream = try await Self.refusingImages()
        let replica = try await Replica.start(redis: RedisServer.shared().url, upstream: upstream.url)
        let session = SessionID.unique().text
        let refused = try await replica.client.say("~", in: session)
        #expect(refused.error?["code"] == "llm_rejected" && refused.done["history_length"] == 2)
        let next = try await replica.client.say("without the image", in: session)
        #expect(next.done["status"] == "completed" && next.done["history_length"] == 3)
        let again = try await replica.client.say("~", in: session)
        #expect(again.error?["code"] == "llm_rejected")
        let retry = try await replica.client.post(
            AgentClient.body(session, ["type": "retry", "replace": ["content": "said otherwise"]]))
        #expect(retry.done["status"] == "completed" && retry.content == "fine")
    }

    @Test("POST on rewind cuts a history to its first messages")
    func aHistoryIsCut() async throws {
        let upstream = try await Upstream.start()
        let replica = try await Replica.start(redis: RedisServer.shared().url, upstream: upstream.url)
        let session = SessionID.unique().text
        for text in ["one", "two"] { _ = try await replica.client.say(text, in: session) }
        let path = "/agent/sessions/\(session)/rewind"
        let cut = try await replica.client.send("POST", path, body: #"{"history_length":3,"expected_length":5}"#)
        #expect(cut.status == 200 && cut.json == ["history_length": 3, "step": 3])
        #expect(try await replica.client.send("POST", path, body: #"{"history_length":3}"#).json == ["history_length": 3, "step": 3])
        #expect(try await replica.client.send("POST", path, body: #"{"history_length":9}"#).status == 400)
        #expect(try await replica.client.send("POST", path, body: #"{"history_length":0}"#).status == 400)
        #expect(
            try await replica.client.send("POST", path, body: #"{"history_length":1,"expected_length":9}"#).json["code"]
                == "history_mismatch")
        #expect(try await replica.client.send("POST", "/agent/sessions/none/rewind", body: #"{"history_length":1}"#).status == 404)
        let next = try await replica.client.say("three", in: session)
        #expect(next.done["step"] == 4 && next.done["history_length"] == 5)
        #expect(upstream.violations.isEmpty)
    }
}
