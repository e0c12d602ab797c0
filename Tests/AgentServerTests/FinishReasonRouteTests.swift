import NIOCore
import SessionStore
import TestSupport
import Testing

@Suite("Finish reasons in the HTTP API", .tags(.processes), .serialized)
struct FinishReasonRouteTests: ServerSuite {
    let server: TestServer

    init() async throws {
        server = try await TestServer()
    }

    @Test(
        "The done event, the session state and the journal hold the same finish reason",
        arguments: [
            ("stop", "stop", "completed"), ("MAX_TOKENS", "length", "completed"), ("content_filter", "content_filter", "completed"),
            ("error", "error", "failed"), ("", nil, "failed"),
        ] as [(String, String?, String)]
    )
    func theReasonIsToldWhereverTheEndIs(word: String, told: String?, status: String) async throws {
        let session = SessionID.unique()
        let expected: JSON = told.map { .string($0) } ?? .null
        upstream.answer { _ in
            word.isEmpty ? UpstreamAnswer.text("so far", "more").inserting(.hangUp, after: 2) : .text("so far", finish: word)
        }
        let answer = try await client.say("hello", in: session.text)
        #expect(answer.done["status"].string == status)
        #expect(answer.done.object["finish_reason"] == expected)
        let state = try await client.get("/agent/sessions/\(session)").json
        #expect(state.object["finish_reason"] == expected)
        let line = try JSON(try redis.cli("LINDEX", "agent:{\(session)}:steps", "-1"))
        #expect(line.object["finish_reason"] == expected)
        // While the next step runs, it has no finish reason.
        let gate = Gate()
        upstream.answer { _ in UpstreamAnswer.text("on").inserting(.gate(gate), after: 2) }
        async let next = client.say("go on", in: session.text)
        try await eventually("it runs") { try await client.get("/agent/sessions/\(session)").json["status"] == "running" }
        #expect(try await client.get("/agent/sessions/\(session)").json.object["finish_reason"] == .null)
        gate.open()
        let done = try await next.done
        #expect(done["finish_reason"] == "stop")
    }

    @Test("A cancelled step has no finish reason")
    func aCancelledStepHasNoReason() async throws {
        let session = SessionID.unique()
        upstream.answer { _ in UpstreamAnswer.text("so far", "more").inserting(.silence, after: 2) }
        async let answer = client.say("hello", in: session.text)
        try await eventually("it runs") { try await client.get("/agent/sessions/\(session)").json["status"] == "running" }
        _ = try await client.send("POST", "/agent/sessions/\(session)/cancel")
        let done = try await answer.done
        #expect(done["status"] == "cancelled" && done.object["finish_reason"] == .null)
    }

    @Test("A result that leaves calls open has no finish reason")
    func aResultAloneHasNoReason() async throws {
        let session = SessionID.unique().text
        upstream.answer { _ in .calls((id: "a", name: "echo", arguments: ["{}"]), (id: "b", name: "echo", arguments: ["{}"])) }
        #expect(try await client.say("go", in: session).done["finish_reason"] == "tool_calls")
        let result: JSON = ["type": "tool_result", "call_id": "a", "result": "x"]
        let answer = try await client.post(AgentClient.body(session, result))
        #expect(answer.done["status"] == "waiting" && answer.done.object["finish_reason"] == .null)
        #expect(try await client.get("/agent/sessions/\(session)").json["finish_reason"] == "tool_calls")
    }

    @Test("Cached and reasoning token counts appear per step and not in the session's sums")
    func countsOfTheCacheAndOfReasoningAreTold() async throws {
        let session = SessionID.unique()
        var counted = UpstreamAnswer.text(["hi"], usage: nil)
        counted.parts.removeLast()
        counted.add(
            event: """
                {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":12,"prompt_tokens_details":{"cached_tokens":8},\
                "completion_tokens_details":{"reasoning_tokens":7}}}
                """)
        counted.add(event: "[DONE]")
        upstream.answer { [counted] _ in counted }
        let expected: JSON = [
            "prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21, "cached_tokens": 8, "reasoning_tokens": 7,
        ]
        #expect(try await client.say("hello", in: session.text).done["usage"] == expected)
        #expect(try JSON(try redis.cli("LINDEX", "agent:{\(session)}:steps", "-1"))["usage"] == expected)
        let sums = try await client.get("/agent/sessions/\(session)").json["usage"]
        #expect(sums == ["prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21])
    }
}
