import SessionStore
import TestSupport
import Testing

/// No status line of a model's server, or of a proxy before it, ends a replica.
@Suite("Odd status lines from the model's server", .tags(.processes), .serialized)
struct OddStatusRouteTests {
    private static func answer(_ status: String) -> [RawUpstream.Step] {
        [.bytes("HTTP/1.1 \(status) Odd\r\nContent-Length: 2\r\n\r\nhi")]
    }

    private static let token = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word \"}}]}\n\n"
    private static let rest = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"

    @Test("An odd status line fails its own step and nothing else")
    func anOddStatusFailsItsOwnStepOnly() async throws {
        let redis = try await RedisServer.shared()
        let mayEnd = Gate()
        // The client's message names the status. For the message "wait", the completion lasts as
        // long as the test.
        let upstream = try await RawUpstream.start { request in
            if request.text.contains("wait") {
                return [.bytes(RawUpstream.unboundedHead + Self.token), .gate(mayEnd), .bytes(Self.token + Self.rest), .close]
            }
            guard let status = request.text.firstMatch(of: /status ([0-9]{3})/)?.output.1 else {
                return RawUpstream.answer(Self.token + Self.rest)
            }
            return Self.answer(String(status))
        }
        defer { upstream.stop() }
        let replica = try await Replica.start(redis: redis.url, upstream: upstream.url)
        let client = replica.client
        let others = (0..<3).map { _ in Task { try await client.say("wait", in: SessionID.unique().text) } }
        try await eventually("the others' answers have begun") { upstream.requests.count == 3 }
        for status in ["000", "001", "099", "100", "101", "199", "600", "999"] {
            // The first request uses a new connection, the second a connection that has already
            // carried a response.
            for isKept in [false, true] {
                if isKept { #expect(try await client.say("hello", in: SessionID.unique().text).content == "word ") }
                let session = SessionID.unique().text
                let answer = try await client.say("status \(status)", in: session)
                #expect(answer.error?["code"] == "llm_invalid_response", "\(status): \(answer.events)")
                #expect(answer.done["status"] == "failed")
            }
        }
        mayEnd.open()
        for other in others {
            let answer = try await other.value("the other answer")
            #expect(answer.content == "word word ")
            #expect(answer.done["status"] == "completed")
        }
        #expect(replica.process.isRunning)
    }
}
