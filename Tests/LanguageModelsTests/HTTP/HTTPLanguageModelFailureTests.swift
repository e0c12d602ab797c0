import NIOCore
import TestSupport
import Testing

@testable import LanguageModels

@Suite("Failures between the provider and its server", .tags(.clock), .serialized)
struct HTTPLanguageModelFailureTests {
    static let token = "data: \(Decoded.delta(#"{"content":"so far"}"#))\n\n"
    static let reason = "data: \(Decoded.delta("{}", finish: "stop"))\n\n"
    static let whole = token + reason + "data: [DONE]\n\n"

    @Test("A refused connection is unavailable")
    func aRefusedConnectionIsUnavailable() async throws {
        let decoded = try await withModel("http://127.0.0.1:\(try freePort())") { try await $0.collect() }
        #expect(decoded.error == .unavailable)
        #expect(decoded.events.isEmpty)
    }

    // MARK: Hang-ups

    @Test("A new connection that closes before the head is not retried")
    func aNewConnectionThatIsClosedBeforeTheHeadIsNotTriedAgain() async throws {
        let upstream = try await RawUpstream.start { _ in [.close] }
        defer { upstream.stop() }
        let decoded = try await withModel(upstream.url) { try await $0.collect() }
        #expect(decoded.error == .unavailable)
        #expect(upstream.requests.count == 1)
    }

    @Test("A kept connection that closes before the head is retried")
    func aKeptConnectionThatIsClosedBeforeTheHeadIsTriedAgain() async throws {
        let upstream = try await RawUpstream.start { $0.place == 0 ? RawUpstream.answer(Self.whole) : [.close] }
        defer { upstream.stop() }
        try await withModel(upstream.url) { model in
            let first = try await model.collect()
            let second = try await model.collect()
            #expect(first.events == [.textDelta("so far"), .finish(.stop)])
            #expect(second == first)
        }
        #expect(upstream.requests.map { [$0.connection, $0.place] } == [[0, 0], [0, 1], [1, 0]])
        #expect(Set(upstream.requests.map(\.text)).count == 1)
    }

    /// Meanwhile, other requests open any number of connections.
    @Test("Connections of other requests do not affect the retry")
    func whatOthersOpenDoesNotMatter() async throws {
        let (isSecond, isClosed) = (Gate(), Gate())
        let upstream = try await RawUpstream.start { request in
            if request.connection == 0, request.place == 1 {
                isSecond.open()
                await isClosed.pass()
                return [.close]
            }
            return RawUpstream.answer(Self.whole)
        }
        defer { upstream.stop() }
        try await withModel(upstream.url) { model in
            let first = try await model.collect()
            let second = Task { try await model.collect() }
            await isSecond.pass()
            let third = try await model.collect()
            #expect(upstream.connections == 2)
            isClosed.open()
            #expect(try await second.value("it ends") == first && third == first)
        }
    }

    @Test("A request is retried once only")
    func itIsTriedAgainOnceOnly() async throws {
        let upstream = try await RawUpstream.start { $0.connection == 0 && $0.place == 0 ? RawUpstream.answer(Self.whole) : [.close] }
        defer { upstream.stop() }
        try await withModel(upstream.url) { model in
            let first = try await model.collect()
            let second = try await model.collect()
            #expect(first.error == nil)
            #expect(second.error == .unavailable)
        }
        #expect(upstream.requests.map { [$0.connection, $0.place] } == [[0, 0], [0, 1], [1, 0]])
    }

    @Test("A kept connection that closes after the head is not retried")
    func aKeptConnectionThatIsClosedAfterTheHeadIsNotTriedAgain() async throws {
        let upstream = try await RawUpstream.start {
            $0.place == 0 ? RawUpstream.answer(Self.whole) : [.bytes(RawUpstream.head + "Content-Length: 1000\r\n\r\n"), .close]
        }
        defer { upstream.stop() }
        try await withModel(upstream.url) { model in
            let first = try await model.collect()
            let second = try await model.collect()
            #expect(first.error == nil)
            #expect(second.error == .unavailable)
        }
        #expect(upstream.requests.count == 2)
    }

    @Test("A connection that closes in mid-stream is unavailable")
    func aHangUpInTheMiddleIsUnavailable() async throws {
        let answer = UpstreamAnswer.text("one ", "two").inserting(.hangUp, after: 2)
        let upstream = try await Upstream.start { _ in answer }
        defer { upstream.stop() }
        let decoded = try await withModel(upstream.url) { try await $0.collect() }
        #expect(decoded.error == .unavailable)
        #expect(decoded.events == [.textDelta("one ")])
        #expect(upstream.requests.count == 1)
    }

    @Test("A connection that closes after the finish reason is not a failure", arguments: [4, 5])
    func aHangUpAfterTheReasonIsNoFailure(parts: Int) async throws {
        let answer = UpstreamAnswer.text("one ", "two").inserting(.hangUp, after: parts)
        let upstream = try await Upstream.start { _ in answer }
        defer { upstream.stop() }
        let decoded = try await withModel(upstream.url) { try await $0.collect() }
        #expect(decoded.error == nil)
        #expect(decoded.text == "one two")
        #expect(decoded.events.last == .finish(.stop))
    }

    @Test("An end without a reason is unavailable")
    func anEndWithoutAReasonIsUnavailable() async throws {
        var answer = UpstreamAnswer()
        answer.add(delta: ["content": "half"])
        let upstream = try await Upstream.start { [answer] _ in answer }
        defer { upstream.stop() }
        #expect(try await withModel(upstream.url) { try await $0.collect() }.error == .unavailable)
    }

    @Test("Bytes that are not HTTP are an invalid response")
    func whatIsNotHTTPIsAnInvalidResponse() async throws {
        let upstream = try await RawUpstream.start { _ in [.bytes("SSH-2.0-OpenSSH_9.6\r\n\r\n"), .close] }
        defer { upstream.stop() }
        #expect(try await withModel(upstream.url) { try await $0.collect() }.error == .invalidResponse)
    }

    // MARK: Error responses

    @Test(
        "Each status becomes an error code",
        arguments: [
            (400, LLMError.Code.rejected), (401, .rejected), (404, .rejected), (429, .rateLimited), (500, .unavailable),
            (503, .unavailable),
        ]
    )
    func statusesBecomeCodes(status: Int, code: LLMError.Code) async throws {
        let upstream = try await Upstream.start { _ in .error(status, "because of \(status)") }
        defer { upstream.stop() }
        for stream in [true, false] {
            let decoded = try await withModel(upstream.url) {
                $0.stream = stream
            } _: {
                try await $0.collect()
            }
            #expect(decoded.error == code)
            #expect(decoded.message.contains("because of \(status)"))
        }
        #expect(upstream.requests.count == 2)
    }

    /// A redirect could direct the keys to any address.
    @Test("A redirection is not followed")
    func aRedirectionIsNotFollowed() async throws {
        let elsewhere = try await Upstream.start()
        let upstream = try await Upstream.start { _ in
            var answer = UpstreamAnswer.error(307, "moved")
            answer.headers = [("Location", elsewhere.url + "/v1/chat/completions")]
            return answer
        }
        defer {
            upstream.stop()
            elsewhere.stop()
        }
        let decoded = try await withModel(upstream.url) {
            $0.apiKey = "secret"
        } _: {
            try await $0.collect()
        }
        #expect(decoded.error == .rejected)
        #expect(elsewhere.requests.isEmpty)
    }

    @Test("An error in the stream ends it")
    func anErrorInTheStreamEndsIt() async throws {
        var answer = UpstreamAnswer()
        answer.add(delta: ["content": "so far"])
        answer.add(event: #"{"error":{"message":"overloaded","code":529}}"#)
        let upstream = try await Upstream.start { [answer] _ in answer.inserting(.silence, after: 2) }
        defer { upstream.stop() }
        let decoded = try await withModel(upstream.url) { try await $0.collect() }
        #expect(decoded.error == .unavailable)
        #expect(decoded.events == [.textDelta("so far")])
    }

    @Test("A completion larger than the bound fails", arguments: [true, false])
    func anAnswerIsNotLargerThanTheBound(stream: Bool) async throws {
        let upstream = try await RawUpstream.start { _ in
            let head = "HTTP/1.1 200 OK\r\nContent-Type: \(stream ? "text/event-stream" : "application/json")\r\nConnection: close\r\n\r\n"
            return [.bytes(head), .flood(ByteBuffer(string: String(repeating: stream ? Self.token : "[", count: 100)), count: 1_000_000)]
        }
        defer { upstream.stop() }
        let decoded = try await withModel(upstream.url) {
            $0.stream = stream
            $0.maxResponseBytes = 100_000
        } _: {
            try await $0.collect()
        }
        #expect(decoded.error == .invalidResponse)
        #expect(decoded.message.contains("100000"))
        #expect(decoded.text.utf8.count < 100_000)
        try await eventually("the connection is closed") { upstream.openConnections == 0 }
    }

    // MARK: Keys

    static let apiKey = "sk-live-0123456789abcdefghijklmnopqrstuvwxyz"
    static let internalKey = "internal/9876543210"

    /// The server may repeat a key anywhere in its text, and the text may end within a key.
    @Test("An error never shows a key, even if the server repeats it")
    func keysAreNeverInAnError() async throws {
        let upstream = try await Upstream.start()
        defer { upstream.stop() }
        try await withModel(upstream.url) {
            $0.apiKey = Self.apiKey
            $0.internalKey = Self.internalKey
        } _: { model in
            for offset in [0, 1, 258, 270, 285, 296, 299, 300, 1000] {
                for key in [Self.apiKey, Self.internalKey] {
                    let words = "\(String(repeating: "x", count: offset))\(key) is not valid: \(key)"
                    var inStream = UpstreamAnswer()
                    inStream.add(event: (["error": ["message": .string(words)]] as JSON).text)
                    for answer in [UpstreamAnswer.error(401, words), inStream] {
                        upstream.answer { _ in answer }
                        let decoded = try await model.collect()
                        #expect(decoded.error == .rejected || decoded.error == .upstream)
                        // The error does not contain a useful part of a key, either.
                        #expect(!decoded.message.contains(key.prefix(8)), "\(decoded.message)")
                        #expect(!decoded.message.contains(key.suffix(8)), "\(decoded.message)")
                    }
                }
            }
        }
    }

    @Test("A key that is part of another key does not reveal the rest")
    func aKeyThatIsPartOfTheOtherDoesNotShowTheRestOfIt() {
        let configuration = UpstreamConfiguration(baseURL: "http://h", apiKey: "secret", internalKey: "secret-and-more")
        #expect(configuration.redacted("a secret, a secret-and-more, a secret-and…") == "a ***, a ***, a ***…")
        #expect(configuration.redacted("nothing to hide…") == "nothing to hide…")
    }

    @Test("The description of a configuration shows no key")
    func theDescriptionOfAConfigurationShowsNoKey() {
        let configuration = UpstreamConfiguration(
            baseURL: "http://user:password@h", apiKey: Self.apiKey, internalKey: Self.internalKey)
        var dumped = ""
        dump(configuration, to: &dumped)
        for text in ["\(configuration)", String(reflecting: configuration), dumped] {
            #expect(!text.contains(Self.apiKey))
            #expect(!text.contains(Self.internalKey))
            #expect(!text.contains("password"))
        }
    }
}
