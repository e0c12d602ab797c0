import NIOCore
import TestSupport
import Testing

@testable import LanguageModels

@Suite("Decoding a response")
struct ChatCompletionDecoderTests {
    static let stream =
        [
            Decoded.delta(#"{"role":"assistant","content":""}"#), Decoded.delta(#"{"content":"Grüße, "}"#),
            Decoded.delta(#"{"content":"日本 😀👩‍👩‍👧"}"#),
            Decoded.calls(#"{"index":0,"id":"c1","function":{"name":"f","arguments":"{\"a\":\"😀\"}"}}"#),
            Decoded.delta("{}", finish: "tool_calls"),
            #"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":12}}"#,
        ].map { "data: \($0)\n\n" }.joined() + "data: [DONE]\n\n"

    static let events: [LLMEvent] = [
        .textDelta("Grüße, "), .textDelta("日本 😀👩‍👩‍👧"), .toolCall(index: 0, id: "c1", name: "f", arguments: #"{"a":"😀"}"#),
        .usage(TokenUsage(promptTokens: 9, completionTokens: 12)), .finish(.toolCalls),
    ]

    /// Splits the body into pieces of `length` bytes.
    static func pieces(_ text: String, every length: Int) -> [ByteBuffer] {
        var rest = ByteBuffer(string: text)
        var pieces: [ByteBuffer] = []
        while rest.readableBytes > 0, let piece = rest.readSlice(length: min(length, rest.readableBytes)) { pieces.append(piece) }
        return pieces
    }

    @Test("Bytes split at any length decode to the same events", arguments: ["\n", "\r\n", "\r"], [1, 2, 3, 5, 7, 11, 13, 64, 1 << 20])
    func theSplitOfTheBytesDoesNotMatter(lineEnd: String, length: Int) {
        let decoded = Decoded(parts: Self.pieces(Self.stream.replacing("\n", with: lineEnd), every: length))
        #expect(decoded.events == Self.events)
        #expect(decoded.error == nil)
    }

    /// The positions split each character and each line end once.
    @Test("Bytes split once at any position decode to the same events")
    func theSplitInTwoDoesNotMatterAnywhere() {
        let bytes = ByteBuffer(string: Self.stream.replacing("\n", with: "\r\n"))
        for position in 0...bytes.readableBytes {
            var rest = bytes
            let head = rest.readSlice(length: position) ?? ByteBuffer()
            let decoded = Decoded(parts: [head, rest])
            #expect(decoded == Decoded(parts: [bytes]), "split at \(position)")
            #expect(decoded.events == Self.events)
        }
    }

    @Test("Bytes after the end mark are ignored")
    func nothingAfterTheEndMarkCounts() {
        let decoded = Decoded(parts: [ByteBuffer(string: Self.stream + "data: nonsense\n\n" + Self.stream)])
        #expect(decoded.events == Self.events)
        #expect(decoded.error == nil)
    }

    @Test("The end mark may be missing after a finish reason")
    func theEndMarkMayBeMissingWhereThereIsAReason() {
        #expect(Decoded(parts: [ByteBuffer(string: Self.stream.replacing("data: [DONE]\n\n", with: ""))]).events == Self.events)
        let unfinished = Decoded(parts: [ByteBuffer(string: "data: \(Decoded.delta(#"{"content":"x"}"#))\n\n")])
        #expect(unfinished.error == .unavailable)
        #expect(unfinished.events == [.textDelta("x")])
    }

    @Test("Comments, empty events and other fields are not a completion")
    func commentsEmptyEventsAndOtherFieldsAreNoAnswer() {
        let noise = Self.stream.replacing("data: {", with: ": ping\n\nid: 1\nretry: 5\nevent: chunk\ndata:\n\ndata: {")
        #expect(Decoded(parts: Self.pieces(noise, every: 17)).events == Self.events)
    }

    @Test("An error event ends the stream", arguments: ["error", "message"])
    func anErrorEventEndsTheStream(name: String) {
        let before = "data: \(Decoded.delta(#"{"content":"so far"}"#))\n\n"
        let data = name == "error" ? #"{"message":"it broke","code":500}"# : #"{"error":{"message":"it broke","code":500}}"#
        let decoded = Decoded(parts: [ByteBuffer(string: before + "event: \(name)\ndata: \(data)\n\n" + Self.stream)])
        #expect(decoded.error == .unavailable)
        #expect(decoded.message.contains("it broke"))
        #expect(decoded.events == [.textDelta("so far")])
    }

    @Test("An error event may hold plain text")
    func anErrorEventNeedNotBeJSON() {
        let decoded = Decoded(parts: [ByteBuffer(string: "event: error\ndata: boom\n\n")])
        #expect(decoded.error == .upstream && decoded.message.contains("boom"))
    }

    // MARK: Whole answers

    static let whole = #"""
        {"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"Hello","tool_calls":[
        {"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}
        ]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}
        """#

    @Test(
        "A whole completion gives the same events as a stream",
        arguments: ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/problem+json"], [1, 7, 1 << 20]
    )
    func aWholeAnswerGivesTheSameEvents(contentType: String, length: Int) {
        // A server may send either form, whichever form the request asked for.
        for expectsStream in [true, false] {
            let decoded = Decoded(parts: Self.pieces(Self.whole, every: length), contentType: contentType, expectsStream: expectsStream)
            #expect(
                decoded.events == [
                    .textDelta("Hello"), .toolCall(index: 0, id: "c1", name: "f", arguments: "{}"),
                    .toolCall(index: 1, id: "c2", name: "g", arguments: "{}"), .usage(TokenUsage(promptTokens: 1, completionTokens: 2)),
                    .finish(.toolCalls),
                ])
        }
    }

    @Test("A response with another content type is read in the requested form")
    func aContentTypeThatDoesNotTellIsWhatWasAskedFor() {
        #expect(Decoded(parts: [ByteBuffer(string: Self.stream)], contentType: nil).events == Self.events)
        #expect(Decoded(parts: [ByteBuffer(string: Self.stream)], contentType: "text/plain").events == Self.events)
        #expect(
            Decoded(parts: [ByteBuffer(string: Self.stream)], contentType: "text/event-stream", expectsStream: false).events == Self.events)
        #expect(Decoded(parts: [ByteBuffer(string: Self.whole)], contentType: nil, expectsStream: false).text == "Hello")
    }

    @Test(
        "A body that is not a completion is an error",
        arguments: ["", "{", "nonsense", "{}", #"{"choices":[]}"#, #"{"choices":[{"message":null,"finish_reason":null}]}"#]
    )
    func aWholeAnswerThatIsNoneIsAnError(body: String) {
        let decoded = Decoded(parts: [ByteBuffer(string: body)], contentType: "application/json", expectsStream: false)
        #expect(decoded.error == .invalidResponse || decoded.error == .unavailable)
        #expect(decoded.events.isEmpty)
    }

    @Test("A web page is not a completion")
    func aWebPageIsNoAnswer() {
        let decoded = Decoded(parts: [ByteBuffer(string: "<html>login</html>")], contentType: "text/html; charset=utf-8")
        #expect(decoded.error == .invalidResponse)
        #expect(decoded.message.contains("web page"))
    }

    // MARK: Bounds, errors, losses

    @Test("A completion larger than the bound fails")
    func anAnswerIsNotLargerThanTheBound() {
        let size = Self.stream.utf8.count
        #expect(Decoded(parts: Self.pieces(Self.stream, every: 100), maxBytes: size).error == nil)
        #expect(Decoded(parts: Self.pieces(Self.stream, every: 100), maxBytes: size - 20).error == .invalidResponse)
        let whole = Self.pieces(Self.whole, every: 100)
        #expect(Decoded(parts: whole, contentType: "application/json", maxBytes: Self.whole.utf8.count).error == nil)
        #expect(Decoded(parts: whole, contentType: "application/json", maxBytes: Self.whole.utf8.count - 1).error == .invalidResponse)
        let endless = Decoded(parts: (0..<100).map { _ in ByteBuffer(string: "xxxxxxxxxx") }, maxBytes: 500)
        #expect(endless.error == .invalidResponse)
    }

    @Test(
        "Each status becomes an error code",
        arguments: [
            (400, LLMError.Code.rejected, false), (401, .rejected, false), (404, .rejected, false), (408, .timeout, true),
            (422, .rejected, false),
            (429, .rateLimited, true), (500, .unavailable, true), (503, .unavailable, true), (529, .unavailable, true),
            (302, .rejected, false),
        ]
    )
    func aStatusBecomesACode(status: Int, code: LLMError.Code, isRetryable: Bool) {
        let body = ByteBuffer(string: #"{"error":{"message":"because"}}"#)
        let decoded = Decoded(parts: [body], contentType: "application/json", status: status)
        #expect(decoded.error == code)
        #expect(decoded.message.contains("because"))
        #expect(decoded.message.contains("\(status)"))
        #expect(ErrorBody.httpError(status: status, body: body).status == status)
        #expect(ErrorBody.httpError(status: status, body: body).isRetryable == isRetryable)
    }

    @Test(
        "The error text is found in each form of body",
        arguments: [
            ("too busy\n now", "too busy now"), ("<html><h1>502</h1></html>", nil), (#"{"error":{"mess"#, nil), ("", nil),
            (#""just text""#, "just text"),
            (#"{"error":"flat"}"#, "flat"),
        ]
    )
    func theWordsOfAnErrorAreFoundWhereverTheyStand(body: String, words: String?) {
        let decoded = Decoded(parts: Self.pieces(body, every: 3), contentType: "text/html", status: 503)
        #expect(decoded.message == "The model's server failed (HTTP 503)\(words.map { ": \($0)" } ?? ".")")
    }

    @Test("An endless error body is read up to its bound")
    func anEndlessErrorIsReadToItsBound() {
        let parts = (0..<100).map { _ in ByteBuffer(string: String(repeating: "e", count: 1000)) }
        let decoded = Decoded(parts: parts, status: 500)
        #expect(decoded.error == .unavailable)
        #expect(decoded.message.count < 400)
    }

    @Test("A connection lost after the finish reason is not a failure")
    func aLossAfterTheReasonIsNone() throws {
        var answer = ChatCompletionDecoder(
            expectsStream: true, limits: ResponseLimits(bodyBytes: 1 << 20, errorBytes: 1000))
        var events: [LLMEvent] = []
        try answer.receiveHead(status: 200, contentType: "text/event-stream")
        let progress = try answer.receiveBody(ByteBuffer(string: "data: \(Decoded.delta(#"{"content":"x"}"#))\n\n"), into: &events)
        #expect(progress == .more)
        var early = answer
        let isCompleteTooEarly = early.receiveLoss(into: &events)
        #expect(!isCompleteTooEarly)
        let last = try answer.receiveBody(ByteBuffer(string: "data: \(Decoded.delta("{}", finish: "stop"))\n\n"), into: &events)
        #expect(last == .trailers)
        let isComplete = answer.receiveLoss(into: &events)
        #expect(isComplete)
        #expect(events == [.textDelta("x"), .finish(.stop)])
        // The decoder emits the end only once.
        let isStillComplete = answer.receiveLoss(into: &events)
        #expect(isStillComplete)
        try answer.receiveEnd(into: &events)
        #expect(events.count == 2)
    }

    @Test("A body without a head is not a completion")
    func aBodyWithoutAHeadIsNoAnswer() {
        var answer = ChatCompletionDecoder(
            expectsStream: true, limits: ResponseLimits(bodyBytes: 100, errorBytes: 100))
        var events: [LLMEvent] = []
        #expect(throws: LLMError.self) { try answer.receiveBody(ByteBuffer(string: "x"), into: &events) }
        #expect(throws: LLMError.self) { try answer.receiveEnd(into: &events) }
    }
}
