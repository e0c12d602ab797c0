import NIOCore
import TestSupport
import Testing

@testable import LanguageModels

/// From one refusal, the provider learns which form a server accepts, and remembers it.
@Suite("Concessions to a model's server")
struct ConcessionTests {
    private static let refusal =
        #"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}}"#

    /// Refuses requests with `stream_options`, and responds to other requests with `others`.
    private func upstream(
        status: Int = 422, refusal: String = refusal,
        others: @escaping @Sendable () -> [RawUpstream.Step] = { RawUpstream.answer(HTTPLanguageModelFailureTests.whole) }
    ) async throws -> RawUpstream {
        try await RawUpstream.start { request in
            guard request.text.contains("stream_options") else { return others() }
            return [
                .bytes("HTTP/1.1 \(status) No\r\nContent-Type: application/json\r\nContent-Length: \(refusal.utf8.count)\r\n\r\n" + refusal)
            ]
        }
    }

    private func asked(_ upstream: RawUpstream) -> [Bool] { upstream.requests.map { $0.text.contains("stream_options") } }

    @Test("A refused option is left out of a second request, and the provider remembers it", arguments: [400, 422])
    func theSameRequestGoesOnceMoreAndIsRemembered(status: Int) async throws {
        let upstream = try await upstream(status: status)
        defer { upstream.stop() }
        try await withModel(upstream.url) { model in
            for _ in 0..<3 {
                let decoded = try await model.collect()
                #expect(decoded.text == "so far")
            }
        }
        #expect(asked(upstream) == [true, false, false, false])
        let bodies = upstream.requests.compactMap { $0.text.split(separator: "\r\n\r\n").last }
        #expect(bodies[0].replacing(#","stream_options":{"include_usage":true}"#, with: "") == bodies[1] && bodies[1] == bodies[2])
    }

    /// The refusal names the option without being caused by it.
    @Test("A request that fails without the option too changes nothing for later requests")
    func whatFailsWithoutAsWellIsNotRemembered() async throws {
        let upstream = try await upstream(others: { [.bytes("HTTP/1.1 422 No\r\nContent-Length: 4\r\n\r\nelse")] })
        defer { upstream.stop() }
        try await withModel(upstream.url) { model in
            for _ in 0..<2 {
                let decoded = try await model.collect()
                #expect(decoded.error == .rejected && decoded.message.hasSuffix("else"))
            }
        }
        #expect(asked(upstream) == [true, false, true, false])
    }

    @Test("A refusal for another reason is final")
    func anotherRefusalIsFinal() async throws {
        let upstream = try await upstream(refusal: #"{"error":"no such model"}"#)
        defer { upstream.stop() }
        #expect(try await withModel(upstream.url) { try await $0.collect() }.error == .rejected)
        #expect(asked(upstream) == [true])
    }

    @Test("The setting decides before the first request")
    func theSettingDecidesBeforehand() async throws {
        let upstream = try await upstream()
        defer { upstream.stop() }
        let never = try await withModel(upstream.url) {
            $0.form.streamOptions = .no
        } _: {
            try await $0.collect()
        }
        #expect(never.text == "so far" && asked(upstream) == [false])
        let always = try await withModel(upstream.url) {
            $0.form.streamOptions = .yes
        } _: {
            try await $0.collect()
        }
        #expect(always.error == .rejected && asked(upstream) == [false, true])
    }

    private static let template = #"{"object":"error","message":"Conversation roles must alternate user/assistant/user/assistant/..."}"#

    /// Such a template ignores calls and results, and requires an assistant message between two
    /// user messages.
    @Test("After a refusal, a template of alternating turns gets a filler message between two users")
    func aTemplateOfTurnsGetsItsAnswerOnceItHasRefused() async throws {
        let upstream = try await RawUpstream.start { request in
            guard request.text.contains("(no answer)") || !request.text.contains(#""role":"tool""#) else {
                let words = Self.template
                return [.bytes("HTTP/1.1 400 No\r\nContent-Type: application/json\r\nContent-Length: \(words.utf8.count)\r\n\r\n" + words)]
            }
            return RawUpstream.answer(HTTPLanguageModelFailureTests.whole)
        }
        defer { upstream.stop() }
        let messages = [
            #"{"role":"user","content":"u"}"#,
            #"{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}"#,
            #"{"role":"tool","tool_call_id":"c","content":"cancelled"}"#, #"{"role":"user","content":"v"}"#,
        ].map { ByteBuffer(string: $0) }
        try await withModel(upstream.url) { model in
            for _ in 0..<2 {
                let decoded = try await model.collect(LLMRequest(model: "m", messages: messages))
                #expect(decoded.text == "so far")
            }
        }
        #expect(upstream.requests.map { $0.text.contains("(no answer)") } == [false, true, true])
        // If no message is missing between two user messages, the refusal is final.
        let plain = try await RawUpstream.start { _ in
            [.bytes("HTTP/1.1 400 No\r\nContent-Length: \(Self.template.utf8.count)\r\n\r\n" + Self.template)]
        }
        defer { plain.stop() }
        #expect(try await withModel(plain.url) { try await $0.collect() }.error == .rejected)
        #expect(plain.requests.count == 1)
    }
}
