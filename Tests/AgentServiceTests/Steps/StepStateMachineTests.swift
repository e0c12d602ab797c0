import NIOCore
import SessionStore
import TestSupport
import Testing

@testable import AgentService
@testable import LanguageModels

/// A step ends once, after one or two generations.
@Suite("The step's state machine")
struct StepStateMachineTests {
    enum Unexpected: Error { case repair, ending }

    /// A state machine, with the history and the number of generations so far.
    struct Driver {
        var machine: StepStateMachine
        var history: [ByteBuffer]
        private var made = 0

        init(maximumBytes: Int = 1 << 20, maximumCalls: Int = 128, history: [ByteBuffer] = []) {
            machine = StepStateMachine(maximumBytes: maximumBytes, maximumCalls: maximumCalls)
            self.history = history
        }

        /// Runs one generation. Its repair messages are added to `history`, as in the step runner.
        mutating func generate(_ events: [LLMEvent]) throws(LLMError) -> StepStateMachine.Conclusion {
            for event in events { try machine.receive(event) }
            var known = UsedCallIDs()
            known.add(history)
            var number = made
            let conclusion = machine.conclude(
                isUsed: known.contains,
                makeID: {
                    number += 1
                    return "fresh_\(number)"
                })
            made = number
            if case .repair(let said) = conclusion { history += said.messages }
            return conclusion
        }

        /// Returns the end of a generation that must be the last one.
        mutating func end(_ events: [LLMEvent]) throws -> StepStateMachine.Ending {
            guard case .commit(let ending) = try generate(events) else { throw Unexpected.repair }
            return ending
        }

        mutating func repair(_ events: [LLMEvent]) throws -> [ByteBuffer] {
            guard case .repair(let said) = try generate(events) else { throw Unexpected.ending }
            return said.messages
        }
    }

    static func call(_ index: Int, _ id: String?, _ name: String?, _ arguments: String) -> LLMEvent {
        .toolCall(index: index, id: id, name: name, arguments: arguments)
    }

    static func json(_ buffers: [ByteBuffer]) throws -> [JSON] { try buffers.map { try JSON(parsing: $0) } }

    /// Returns the events as the log contains them.
    static func events(_ ending: StepStateMachine.Ending) throws -> [JSON] {
        var batch = LoggedEvents(firstSequence: 1)
        for event in ending.events { LogCodec.append(event, to: &batch) }
        var values: [ByteBuffer] = []
        batch.forEach { values.append($1) }
        return try json(values)
    }

    // MARK: Text

    /// A model's server may end the completion at any point.
    @Test("Text without an end never enters the history")
    func anAnswerWithoutAFinishIsNone() throws {
        var driver = Driver()
        let ending = try driver.end([.textDelta("half")])
        #expect(ending.status == .failed && ending.messages.isEmpty)
    }

    @Test("Text is stored and streamed once")
    func textIsStoredAndSaidOnce() throws {
        var driver = Driver()
        let ending = try driver.end([
            .textDelta("Hel"), .textDelta("lo 😀"), .usage(TokenUsage(promptTokens: 9, completionTokens: 2)), .finish(.stop),
        ])
        #expect(ending.status == .completed)
        #expect(try Self.json(ending.messages) == [["role": "assistant", "content": "Hello 😀"]])
        #expect(try Self.events(ending) == [["type": "assistant_message", "content": "Hello 😀", "token": "", "is_final": true]])
        #expect(ending.calls.isEmpty)
        #expect(driver.machine.usage == TokenUsage(promptTokens: 9, completionTokens: 2))
        #expect(driver.machine.finish == .stop)
    }

    @Test("An empty completion stores nothing")
    func anEmptyAnswerStoresNothing() throws {
        var driver = Driver()
        let ending = try driver.end([.finish(.stop)])
        #expect(ending.status == .completed)
        #expect(ending.messages.isEmpty)
        #expect(try Self.events(ending) == [["type": "assistant_message", "content": "", "token": "", "is_final": true]])
    }

    // MARK: Calls

    @Test("Calls are stored, left pending and emitted in the model's order")
    func callsAreStoredPendingAndSaidInTheModelsOrder() throws {
        var driver = Driver()
        let ending = try driver.end([
            .textDelta("Let me look."), Self.call(1, "b", "echo", ""), Self.call(0, "a", "read_file", #"{ "path":"#),
            Self.call(1, nil, nil, "{}"),
            Self.call(0, nil, nil, #" "x" }"#), .finish(.toolCalls),
        ])
        #expect(ending.status == .waiting)
        #expect(
            try Self.json(ending.messages) == [
                [
                    "role": "assistant", "content": "Let me look.",
                    "tool_calls": [
                        ["id": "a", "type": "function", "function": ["name": "read_file", "arguments": #"{"path":"x"}"#]],
                        ["id": "b", "type": "function", "function": ["name": "echo", "arguments": "{}"]],
                    ],
                ]
            ])
        #expect(
            try Self.events(ending) == [
                ["type": "assistant_message", "content": "Let me look.", "token": "", "is_final": false],
                ["type": "tool_call", "call_id": "a", "tool_name": "read_file", "arguments": ["path": "x"], "is_final": false],
                ["type": "tool_call", "call_id": "b", "tool_name": "echo", "arguments": [:], "is_final": true],
            ])
        #expect(ending.calls.map(\.id) == ["a", "b"])
        #expect(
            try JSON(parsing: ending.calls[0].pendingJSON(step: 7)) == ["tool_name": "read_file", "arguments": ["path": "x"], "step": 7])
    }

    @Test("Calls without text emit no text event")
    func callsWithoutTextHaveNoTextEvent() throws {
        var driver = Driver()
        let ending = try driver.end([Self.call(0, "a", "echo", "{}"), .finish(.toolCalls)])
        #expect(try Self.json(ending.messages)[0]["content"].isNull)
        #expect(try Self.events(ending).map { $0["type"] } == ["tool_call"])
    }

    @Test("Missing arguments become an empty object", arguments: ["", " ", "\n\t "])
    func noArgumentsAreAnEmptyObject(arguments: String) throws {
        var driver = Driver()
        let ending = try driver.end([Self.call(0, "a", "echo", arguments), .finish(.toolCalls)])
        #expect(try Self.events(ending)[0]["arguments"] == [:])
        #expect(try Self.json(ending.messages)[0]["tool_calls"][0]["function"]["arguments"] == "{}")
    }

    @Test("Unusable call ids are replaced", arguments: [nil, "", "used", String(repeating: "x", count: 41), "used/too", "used\u{2028}"])
    func idsThatCannotBeUsedAreReplaced(id: String?) throws {
        // A result in the form that the server writes, and a closed call in the form that the
        // script writes.
        let history = [
            ChatMessage.tool(callID: "used", content: ByteBuffer(string: "x")),
            ByteBuffer(string: #"{"role":"tool","tool_call_id":"used\/too","content":"cancelled"}"#),
            ByteBuffer(string: "{\"role\":\"tool\",\"tool_call_id\":\"used\u{2028}\",\"content\":\"cancelled\"}"),
        ]
        var driver = Driver(history: history)
        let ending = try driver.end([Self.call(0, id, "echo", "{}"), Self.call(1, "ok", "echo", "{}"), .finish(.toolCalls)])
        #expect(ending.calls.map(\.id) == ["fresh_1", "ok"])
        #expect(try Self.json(ending.messages)[0]["tool_calls"].array.map { $0["id"] } == ["fresh_1", "ok"])
        #expect(try Self.events(ending).map { $0["call_id"] } == ["fresh_1", "ok"])
    }

    @Test("A call id of the greatest length is kept")
    func anIDOfTheGreatestLengthIsKept() throws {
        var driver = Driver()
        let id = String(repeating: "x", count: CallID.maximumStoredBytes)
        #expect(try driver.end([Self.call(0, id, "echo", "{}"), .finish(.toolCalls)]).calls.map(\.id) == [id])
    }

    @Test("The second of two equal call ids is replaced")
    func ofTwoCallsWithTheSameIDTheSecondIsReplaced() throws {
        var driver = Driver()
        let ending = try driver.end([Self.call(0, "a", "echo", "{}"), Self.call(1, "a", "echo", "{}"), .finish(.toolCalls)])
        #expect(ending.calls.map(\.id) == ["a", "fresh_1"])
    }

    /// The id is only part of the model's text.
    @Test("A call id quoted in text does not count as used")
    func anIDThatOnlyStandsInTextIsNotUsed() throws {
        let quoted = ChatMessage.user(content: ByteBuffer(string: JSON.string(#"{"tool_call_id":"a"}"#).text))
        var driver = Driver(history: [quoted])
        #expect(try driver.end([Self.call(0, "a", "echo", "{}"), .finish(.toolCalls)]).calls.map(\.id) == ["a"])
    }

    @Test("A call without a name fails")
    func aCallWithoutANameFails() throws {
        var driver = Driver()
        let ending = try driver.end([.textDelta("x"), Self.call(0, "a", nil, "{}"), .finish(.toolCalls)])
        #expect(ending.status == .failed)
        #expect(ending.messages.isEmpty)
        #expect(ending.calls.isEmpty)
        #expect(ending.errorCode == "llm_invalid_response")
        let event = try #require(try Self.events(ending).first)
        #expect(
            event["type"] == "error" && event["code"] == "llm_invalid_response" && event["retryable"] == true && event["is_final"] == true)
    }

    // MARK: Invalid arguments

    static let invalid = [
        "nonsense", #"{"a":"#, "[1]", "true", "7", #""text""#, #"{"a":1}{}"#, #"{"a":1}{"a":2}"#, "{'a':1}", #""{\"a\":""#,
        String(repeating: #"{"a":"#, count: 200),
    ]

    @Test("Invalid arguments are repaired once", arguments: invalid)
    func invalidArgumentsAreRepairedOnce(arguments: String) throws {
        var driver = Driver()
        let messages = try Self.json(try driver.repair([.textDelta("one "), Self.call(0, "a", "echo", arguments), .finish(.toolCalls)]))
        #expect(messages.map { $0["role"] } == ["assistant", "tool"])
        #expect(messages[0]["content"] == "one ")
        #expect(messages[0]["tool_calls"][0]["function"]["arguments"] == "{}")
        #expect(messages[1]["tool_call_id"] == "a")
        #expect(messages[1]["content"].string?.contains(arguments) == true)

        let ending = try driver.end([.textDelta("two"), Self.call(0, "b", "echo", #"{"text":"x"}"#), .finish(.toolCalls)])
        #expect(ending.status == .waiting)
        #expect(try Self.json(ending.messages).map { $0["role"] } == ["assistant", "tool", "assistant"])
        #expect(try Self.json(ending.messages)[2]["content"] == "two")
        // The client has part of the text, and gets the whole text at the end.
        #expect(try Self.events(ending)[0]["content"] == "one two")
        #expect(ending.calls.map(\.id) == ["b"])
    }

    @Test("The repair may also be text")
    func theRepairMayAlsoBeText() throws {
        var driver = Driver()
        _ = try driver.repair([Self.call(0, "a", "echo", "x"), .finish(.toolCalls)])
        let ending = try driver.end([.textDelta("I can't"), .finish(.stop)])
        #expect(ending.status == .completed)
        #expect(try Self.json(ending.messages).map { $0["role"] } == ["assistant", "tool", "assistant"])
        #expect(try Self.events(ending)[0]["content"] == "I can't")
    }

    /// Models may invent names that no server accepts in a history. If the server stored such a
    /// name, every later request would fail.
    @Test(
        "Tool names that no server accepts are repaired",
        arguments: ["multi_tool_use.parallel", "read file", "näme", String(repeating: "x", count: 65), "functions.echo:0"]
    )
    func namesThatNoServerAcceptsAreRepaired(name: String) throws {
        var driver = Driver()
        let messages = try Self.json(try driver.repair([Self.call(0, "a", name, #"{"n":1}"#), .finish(.toolCalls)]))
        let call = messages[0]["tool_calls"][0]["function"]
        #expect(call["name"].string?.wholeMatch(of: /[a-zA-Z0-9_-]{1,64}/) != nil && call["arguments"] == #"{"n":1}"#)
        #expect(messages[1]["tool_call_id"] == "a" && messages[1]["content"].string?.contains(name.prefix(64)) == true)
        let ending = try driver.end([Self.call(0, "b", "echo", "{}"), .finish(.toolCalls)])
        #expect(ending.status == .waiting && ending.calls.map(\.name) == ["echo"])
        #expect(
            Conversation.violation(try Self.json([ChatMessage.user(content: ByteBuffer(string: #""x""#))] + ending.messages))
                == "the calls [\"b\"] have no answer")
    }

    @Test("A bad tool name beside valid calls gets an error result at once")
    func aNameThatNoServerAcceptsBesideOthersIsAnsweredAtOnce() throws {
        var driver = Driver()
        let ending = try driver.end([Self.call(0, "a", "x.y", "{}"), Self.call(1, "b", "echo", "{}"), .finish(.toolCalls)])
        #expect(ending.calls.map(\.id) == ["b"])
        #expect(try Self.json(ending.messages).map { $0["tool_call_id"].string } == [nil, "a"])
        var twice = Driver()
        _ = try twice.repair([Self.call(0, "a", "x.y", "{}"), .finish(.toolCalls)])
        #expect(try twice.end([Self.call(0, "b", "x.y", "{}"), .finish(.toolCalls)]).errorCode == "invalid_tool_arguments")
    }

    @Test("Invalid arguments twice fail the step")
    func invalidArgumentsTwiceFail() throws {
        var driver = Driver()
        _ = try driver.repair([Self.call(0, "a", "echo", "x"), .finish(.toolCalls)])
        let ending = try driver.end([Self.call(0, "a", "echo", "y"), .finish(.toolCalls)])
        #expect(ending.status == .failed)
        #expect(ending.errorCode == "invalid_tool_arguments")
        #expect(try Self.events(ending).map { $0["code"] } == ["invalid_tool_arguments"])
        #expect(ending.calls.isEmpty)
        let messages = try Self.json(ending.messages)
        #expect(messages.map { $0["role"] } == ["assistant", "tool", "assistant", "tool"])
        #expect(Conversation.violation(messages) == nil)
        // The same id again counts as used.
        #expect(messages[2]["tool_calls"][0]["id"] == "fresh_1")
    }

    @Test("Valid calls are emitted beside invalid ones")
    func ofValidAndInvalidCallsTheValidOnesAreSent() throws {
        var driver = Driver()
        let ending = try driver.end([
            Self.call(0, "a", "echo", "x"), Self.call(1, "b", "echo", #"{"text":"b"}"#), Self.call(2, "c", "echo", "[1]"),
            .finish(.toolCalls),
        ])
        #expect(ending.status == .waiting)
        #expect(ending.calls.map(\.id) == ["b"])
        #expect(try Self.events(ending).map { $0["call_id"] } == ["b"])
        #expect(try Self.events(ending)[0]["is_final"] == true)
        let messages = try Self.json(ending.messages)
        #expect(messages[0]["tool_calls"].array.map { $0["id"] } == ["a", "b", "c"])
        #expect(messages.dropFirst().map { $0["tool_call_id"] } == ["a", "c"])
        #expect(Conversation.violation(messages + [["role": "tool", "tool_call_id": "b", "content": "ok"]]) == nil)
    }

    @Test("The repair quotes the model's text up to a bound")
    func theModelsOwnTextIsQuotedToABound() throws {
        var driver = Driver()
        let messages = try driver.repair([Self.call(0, "a", "echo", String(repeating: "😀", count: 100_000)), .finish(.toolCalls)])
        #expect(messages[1].readableBytes < 5000)
        #expect(try JSON(parsing: messages[1])["content"].string?.contains("😀😀") == true)
    }

    // MARK: Bounds and failures

    @Test("A completion larger than the bound fails")
    func anAnswerIsNotLargerThanTheBound() throws {
        var driver = Driver(maximumBytes: 10)
        #expect(
            try driver.end([.textDelta("12345"), Self.call(0, "a", "f", "{}"), Self.call(0, nil, nil, " "), .finish(.stop)]).status
                == .waiting)
        driver = Driver(maximumBytes: 10)
        #expect(throws: LLMError.self) { _ = try driver.generate([.textDelta("12345"), .textDelta("67890"), .textDelta("1")]) }
        driver = Driver(maximumBytes: 10)
        #expect(throws: LLMError.self) { _ = try driver.generate([Self.call(0, "a", "f", "12345678"), Self.call(0, nil, nil, "9")]) }
        // The limit applies to the sum of both generations.
        driver = Driver(maximumBytes: 10)
        _ = try driver.repair([Self.call(0, "a", "f", "1234"), .finish(.toolCalls)])
        let error = #expect(throws: LLMError.self) { _ = try driver.generate([.textDelta("12345")]) }
        #expect(error?.code == .invalidResponse)
    }

    @Test("The number of calls is bounded")
    func thereAreNotMoreCallsThanTheBound() throws {
        var driver = Driver(maximumCalls: 2)
        for index in 0..<2 { try driver.machine.receive(Self.call(index, "c\(index)", "f", "{}")) }
        try driver.machine.receive(Self.call(1, nil, nil, " "))
        let error = #expect(throws: LLMError.self) { try driver.machine.receive(Self.call(2, "c", "f", "")) }
        #expect(error?.code == .invalidResponse)
        #expect(throws: LLMError.self) { try driver.machine.receive(Self.call(-1, "c", "f", "")) }
    }

    @Test("Usage sums the last counts of each generation")
    func usageIsTheSumOfTheGenerationsAndOfEachTheLast() throws {
        var driver = Driver()
        _ = try driver.repair([
            .usage(TokenUsage(promptTokens: 1, completionTokens: 1)), Self.call(0, "a", "f", "x"),
            .usage(TokenUsage(promptTokens: 10, completionTokens: 5)), .finish(.toolCalls),
        ])
        #expect(driver.machine.usage == TokenUsage(promptTokens: 10, completionTokens: 5))
        _ = try driver.end([.textDelta("x"), .usage(TokenUsage(promptTokens: 20, completionTokens: 7)), .finish(.stop)])
        #expect(driver.machine.usage == TokenUsage(promptTokens: 30, completionTokens: 12))
        #expect(driver.machine.usage.totalTokens == 42)
    }

    @Test("Cached and reasoning counts add up where servers report them")
    func countsOfTheCacheAndOfReasoningAddUpWhereTheyAreKnown() throws {
        var driver = Driver()
        _ = try driver.repair([
            .usage(TokenUsage(promptTokens: 10, completionTokens: 5, cachedTokens: 8)), Self.call(0, "a", "f", "x"), .finish(.toolCalls),
        ])
        _ = try driver.end([.textDelta("x"), .usage(TokenUsage(promptTokens: 20, completionTokens: 7, cachedTokens: 16)), .finish(.stop)])
        #expect(driver.machine.usage == TokenUsage(promptTokens: 30, completionTokens: 12, cachedTokens: 24))
    }

    // MARK: Reasons

    @Test("The finish reason is that of the last generation")
    func theReasonIsThatOfTheLastGeneration() throws {
        var driver = Driver()
        _ = try driver.repair([Self.call(0, "a", "echo", "x"), .finish(.toolCalls)])
        #expect(try driver.end([.textDelta("cut"), .finish(.length)]).finishReason == .length)
        driver = Driver()
        _ = try driver.repair([Self.call(0, "a", "echo", "x"), .finish(.stop)])
        #expect(try driver.end([Self.call(0, "a", "echo", "y"), .finish(.stop)]).finishReason == .toolCalls)
    }

    @Test("An end that the model did not make has no reason")
    func anEndThatIsNotTheModelsHasNoReason() {
        let driver = Driver()
        #expect(StepStateMachine.cancelled(text: ByteBuffer(string: "half")).finishReason == nil)
        #expect(driver.machine.failed(LLMError(.unavailable, "lost")).finishReason == nil)
        #expect(driver.machine.failure("gone", code: "takeover_exhausted", retryable: true).finishReason == nil)
    }

    @Test("A truncated call stores nothing")
    func aCutCallStoresNothing() throws {
        var driver = Driver()
        let ending = try driver.end([.textDelta("I look"), Self.call(0, "a", "echo", #"{"a":"#), .finish(.length)])
        #expect(ending.status == .failed && ending.messages.isEmpty && ending.calls.isEmpty && ending.errorCode == "llm_length")
        let event = try #require(try Self.events(ending).first)
        #expect(event["type"] == "error" && event["retryable"] == false)
    }

    @Test("A tool name may come in pieces")
    func aNameMayComeInPieces() throws {
        var driver = Driver()
        let ending = try driver.end([
            Self.call(0, "a", "read_", ""), Self.call(0, nil, "file", ""), Self.call(0, nil, nil, "{}"), .finish(.toolCalls),
        ])
        #expect(ending.calls.map(\.name) == ["read_file"])
    }

    @Test("A failed generation stores nothing", arguments: LLMError.Code.allCases)
    func aFailedGenerationStoresNothing(code: LLMError.Code) throws {
        var driver = Driver()
        try driver.machine.receive(.textDelta("half"))
        let error = LLMError(code, "it went wrong")
        let ending = driver.machine.failed(error)
        #expect(ending.status == .failed)
        #expect(ending.messages.isEmpty)
        #expect(
            try Self.events(ending) == [
                [
                    "type": "error", "error": "it went wrong", "code": .string(code.rawValue), "retryable": .bool(error.isRetryable),
                    "is_final": true,
                ]
            ])
    }

    @Test("The error carries the server's code and retry time")
    func theServersOwnCodeAndItsPatienceAreTold() throws {
        var error = LLMError(.rateLimited, "slow down")
        (error.upstreamCode, error.retryAfter, error.upstreamRequest) = ("1302", 7, "req_1")
        let ending = Driver().machine.failed(error)
        let event = try #require(try Self.events(ending).first)
        #expect(event["upstream_code"] == "1302" && event["retry_after"] == 7 && event["code"] == "llm_rate_limited")
        #expect(ending.upstreamCode == "1302" && ending.upstreamRequest == "req_1")
    }

    /// The next message replaces it. A message is removed only if it caused the refusal.
    @Test("Only a refused conversation loses its last message", arguments: LLMError.Code.allCases)
    func onlyRefusedConversationsLoseTheirLastMessage(code: LLMError.Code) throws {
        var driver = Driver()
        #expect(driver.machine.failed(LLMError(code, "no")).isRejected == [.rejected, .contextFull].contains(code))
        try driver.machine.receive(.textDelta("half"))
        #expect(!driver.machine.failed(LLMError(code, "no")).isRejected)
    }
}

extension StepStateMachine.Ending {
    var messages: [ByteBuffer] { said.messages }
}
