import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import LanguageModels

@Suite("Generations over HTTP")
struct HTTPLanguageModelTests {
    static let answer: UpstreamAnswer = {
        var answer = UpstreamAnswer()
        answer.add(delta: ["role": "assistant", "content": ""])
        for token in ["Grüße", ", ", "日本 ", "😀👩‍👩‍👧", "\n\u{2028}", "é\u{301}"] { answer.add(delta: ["content": .string(token)]) }
        answer.add(delta: ["tool_calls": [["index": 0, "id": "c1", "function": ["name": "echo", "arguments": ""]]]])
        answer.add(delta: ["tool_calls": [["index": 1, "id": "c2", "function": ["name": "echo", "arguments": ""]]]])
        for piece in [#"{"text""#, #":"😀"#, #""}"#] {
            for index in 0...1 {
                answer.add(delta: ["tool_calls": [["index": .number(Double(index)), "function": ["arguments": .string(piece)]]]])
            }
        }
        answer.end(finish: "tool_calls")
        return answer
    }()

    /// Tries every length that splits characters, lines and events differently, and then random
    /// lengths.
    @Test("A response split at any length gives the same events")
    func theSplitOfTheAnswerDoesNotMatter() async throws {
        let upstream = try await Upstream.start { _ in Self.answer }
        defer { upstream.stop() }
        try await withModel(upstream.url) { model in
            let whole = try await model.collect()
            #expect(whole.text == "Grüße, 日本 😀👩‍👩‍👧\n\u{2028}é\u{301}")
            #expect(whole.calls == [Decoded.Call("c1", "echo", #"{"text":"😀"}"#), Decoded.Call("c2", "echo", #"{"text":"😀"}"#)])
            #expect(whole.events.suffix(2) == [.usage(TokenUsage(promptTokens: 9, completionTokens: 12)), .finish(.toolCalls)])
            for length in [1, 2, 3, 5, 7, 13, 64, 1000, 1 << 20] {
                upstream.answer { _ in Self.answer.split(every: length) }
                #expect(try await model.collect() == whole, "pieces of \(length) bytes")
            }
            var crlf = UpstreamAnswer()
            for case .bytes(let bytes) in Self.answer.parts {
                crlf.parts.append(.bytes(ByteBuffer(string: String(buffer: bytes).replacing("\n", with: "\r\n"))))
            }
            for length in [1, 2, 7, 1 << 20] {
                upstream.answer { [crlf] _ in crlf.split(every: length) }
                #expect(try await model.collect() == whole, "pieces of \(length) bytes, with CRLF")
            }
            for seed in 0..<6 {
                upstream.answer { _ in Self.randomlySplit(Self.answer, seed: UInt64(seed)) }
                #expect(try await model.collect() == whole, "seed \(seed)")
            }
        }
        #expect(upstream.violations.isEmpty)
    }

    static func randomlySplit(_ answer: UpstreamAnswer, seed: UInt64) -> UpstreamAnswer {
        var random = SeededGenerator(seed: seed)
        var split = answer
        var whole = ByteBuffer()
        for case .bytes(let bytes) in answer.parts { whole.writeImmutableBuffer(bytes) }
        split.parts = []
        while let piece = whole.readSlice(length: min(whole.readableBytes, Int.random(in: 1...40, using: &random))), piece.readableBytes > 0
        {
            split.parts.append(.bytes(piece))
        }
        return split
    }

    @Test("Events that arrive together are delivered together")
    func whatIsReadyTogetherIsHandedOnTogether() async throws {
        let whole = ByteBuffer(string: ChatCompletionDecoderTests.stream)
        let upstream = try await Upstream.start { _ in UpstreamAnswer(parts: [.bytes(whole)]) }
        defer { upstream.stop() }
        var batches: [[LLMEvent]] = []
        try await withModel(upstream.url) { model in
            try await model.generate(.hello) { batches.append($0) }
        }
        #expect(batches == [ChatCompletionDecoderTests.events])
    }

    @Test("A provider without streaming asks for a whole completion")
    func aWholeAnswerIsAskedForWithoutStreaming() async throws {
        let upstream = try await Upstream.start { _ in
            .whole([
                "role": "assistant", "content": "Hello",
                "tool_calls": [["id": "c1", "type": "function", "function": ["name": "echo", "arguments": #"{"text":"x"}"#]]],
            ])
        }
        defer { upstream.stop() }
        let decoded = try await withModel(upstream.url) {
            $0.stream = false
        } _: {
            try await $0.collect()
        }
        #expect(
            decoded.events == [
                .textDelta("Hello"), .toolCall(index: 0, id: "c1", name: "echo", arguments: #"{"text":"x"}"#),
                .usage(TokenUsage(promptTokens: 9, completionTokens: 12)), .finish(.toolCalls),
            ])
        #expect(upstream.violations.isEmpty)
        let request = try #require(upstream.requests.first)
        #expect(request.body["stream"] == false)
        #expect(request.body["stream_options"].isNull)
        #expect(request.headers["accept"] == "application/json")
    }

    // MARK: The request

    @Test("The request has its headers and members")
    func theRequestSaysWhatItMust() async throws {
        let upstream = try await Upstream.start()
        defer { upstream.stop() }
        let tools = ByteBuffer(
            string: #"[{"type":"function","function":{"name":"echo","parameters":{"type":"object","x":12345678901234567890}}}]"#)
        let messages = [
            #"{"role":"system","content":"a / b \/ \u00e9 é"}"#,
            #"{"role":"user","content":[{"type":"text","text":"x","big":123456789012345678901}]}"#,
        ].map { ByteBuffer(string: $0) }
        _ = try await withModel(upstream.url) {
            $0.apiKey = "api-key"
            $0.internalKey = "internal-key"
        } _: {
            try await $0.collect(
                LLMRequest(
                    model: "a \"model\"", messages: messages, tools: tools,
                    traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
        }
        let request = try #require(upstream.requests.first)
        #expect(request.path == "/v1/chat/completions")
        #expect(request.headers["authorization"] == "Bearer api-key")
        #expect(request.headers["x-internal-auth"] == "internal-key")
        #expect(request.headers["traceparent"] == "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        #expect(request.headers["content-type"] == "application/json")
        #expect(request.headers["accept"] == "text/event-stream")
        // The bytes must be equal: nothing is decoded and encoded again.
        let expected =
            #"{"model":"a \"model\"","messages":[\#(messages.map { String(buffer: $0) }.joined(separator: ","))],"stream":true,"#
            + #""stream_options":{"include_usage":true},"tools":\#(String(buffer: tools))}"#
        #expect(String(buffer: request.raw) == expected)
    }

    @Test("A request without tools has no tools member", arguments: [nil, "[]", " [ ] "])
    func withoutToolsNoneAreMentioned(tools: String?) async throws {
        let upstream = try await Upstream.start()
        defer { upstream.stop() }
        _ = try await withModel(upstream.url) {
            try await $0.collect(LLMRequest(model: "m", messages: LLMRequest.hello.messages, tools: tools.map { ByteBuffer(string: $0) }))
        }
        #expect(upstream.requests.first?.body.object.keys.contains("tools") == false)
        #expect(upstream.requests.first?.headers["authorization"] == nil)
        #expect(upstream.requests.first?.headers["x-internal-auth"] == nil)
        #expect(upstream.requests.first?.headers["traceparent"] == nil)
        #expect(upstream.violations.isEmpty)
    }

    @Test("A trace context that is not valid in a header is left out")
    func aTraceContextThatCannotStandInAHeaderIsLeftOut() async throws {
        let upstream = try await Upstream.start()
        defer { upstream.stop() }
        let decoded = try await withModel(upstream.url) {
            try await $0.collect(LLMRequest(model: "m", messages: LLMRequest.hello.messages, traceparent: "00-a\r\nX-Evil: 1"))
        }
        #expect(decoded.text == "Hello, world")
        #expect(upstream.requests.first?.headers["traceparent"] == nil)
        #expect(upstream.requests.first?.headers["x-evil"] == nil)
    }

    @Test("The base URL may have any of its forms", arguments: ["", "/", "///", "/v1", "/v1/", "/v1//"])
    func theBaseURLMayHaveAnyOfItsForms(suffix: String) async throws {
        let upstream = try await Upstream.start()
        defer { upstream.stop() }
        #expect(try await withModel(upstream.url + suffix) { try await $0.collect() }.text == "Hello, world")
        #expect(upstream.requests.map(\.path) == ["/v1/chat/completions"])
    }

    @Test(
        "A string that is not a base URL is refused",
        arguments: ["", "localhost:80", "ftp://host", "http://", "https:///path", "http://a b", "redis://x"]
    )
    func whatIsNoBaseURLIsRefused(url: String) {
        #expect(throws: UpstreamConfigurationError.self) {
            try HTTPLanguageModel(
                format: OpenAIChat(), configuration: .init(baseURL: url), eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
                logger: .quiet)
        }
    }

    @Test("A key that is not valid in a header is refused", arguments: ["", "a\nb", "a\r\nX: y", "schlüssel", "\0"])
    func whatCannotStandInAHeaderIsNoKey(key: String) {
        let both = [UpstreamConfiguration(baseURL: "http://h", apiKey: key), .init(baseURL: "http://h", internalKey: key)]
        for configuration in both {
            let error = #expect(throws: UpstreamConfigurationError.self) {
                try HTTPLanguageModel(
                    format: OpenAIChat(), configuration: configuration, eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
                    logger: .quiet)
            }
            #expect(key.isEmpty || error?.description.contains(key) == false)
        }
    }

    // MARK: Many

    @Test("Two hundred generations run at the same time")
    func twoHundredGenerationsRunAtOnce() async throws {
        let all = Gate()
        let upstream = try await Upstream.start { request in
            // The server responds only when all requests have arrived. If one generation waited for
            // another one's connection, no generation would end.
            await all.pass()
            return .text("answer ", request.lastContent)
        }
        defer { upstream.stop() }
        let texts = try await within(.seconds(30), "two hundred generations") {
            try await withModel(upstream.url) { model in
                try await withThrowingTaskGroup(of: String.self) { group in
                    for number in 0..<200 {
                        group.addTask {
                            let message = ByteBuffer(string: #"{"role":"user","content":"\#(number)"}"#)
                            return try await model.collect(LLMRequest(model: "m", messages: [message])).text
                        }
                    }
                    try await eventually("all have asked") { all.arrivals == 200 }
                    all.open()
                    var texts: Set<String> = []
                    for try await text in group { texts.insert(text) }
                    return texts
                }
            }
        }
        #expect(texts == Set((0..<200).map { "answer \($0)" }))
    }
}
