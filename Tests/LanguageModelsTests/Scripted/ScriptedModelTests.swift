import NIOCore
import TestSupport
import Testing

@testable import AgentService
@testable import LanguageModels

@Suite("The scripted model")
struct ScriptedModelTests {
    static func user(_ text: String) -> ByteBuffer {
        var json = ByteBuffer(string: #"{"role":"user","content":"#)
        json.writeString(JSON.string(text).text)
        json.writeString("}")
        return json
    }

    static func answer(
        to messages: [ByteBuffer], tools: ByteBuffer? = ToolRegistry.builtIn.json, delay: Duration = .zero
    ) async throws -> Decoded {
        var decoded = Decoded()
        try await ScriptedModel(tokenDelay: delay).generate(LLMRequest(model: "scripted", messages: messages, tools: tools)) { batch in
            #expect(!batch.isEmpty)
            decoded.events += batch
        }
        return decoded
    }

    @Test("The model acknowledges text")
    func acknowledgesText() async throws {
        let answer = try await Self.answer(to: [ChatMessage.system("be brief"), Self.user("good morning")])
        #expect(answer.text == "You said: good morning")
        #expect(answer.events.count == 6)
        #expect(answer.events.suffix(2) == [.usage(TokenUsage(promptTokens: 4, completionTokens: 4)), .finish(.stop)])
    }

    @Test("The model replies to an empty message")
    func saysSomethingToAnEmptyMessage() async throws {
        #expect(try await Self.answer(to: [Self.user("  \n ")]).text.isEmpty == false)
        #expect(try await Self.answer(to: [Self.user("")]).text == "You said nothing.")
        #expect(try await Self.answer(to: []).text == "You said nothing.")
    }

    @Test("The model calls a tool, with arguments in pieces")
    func callsTools() async throws {
        let answer = try await Self.answer(to: [Self.user(#"read_file some dir/a "b".txt"#)])
        #expect(answer.text.isEmpty)
        #expect(answer.calls.map(\.name) == ["read_file"])
        #expect(try answer.calls.map { try JSON($0.arguments) } == [["path": #"some dir/a "b".txt"#]])
        #expect(answer.calls.first?.id?.isEmpty == false)
        #expect(answer.events.last == .finish(.toolCalls))
        // Arguments arrive in pieces, as from other models.
        #expect(answer.events.count > 4)
    }

    @Test("Several lines make parallel calls")
    func severalLinesMakeParallelCalls() async throws {
        let answer = try await Self.answer(to: [Self.user("echo one\nread_file a.txt\nplease\necho two")])
        #expect(answer.text == "You said: please")
        #expect(answer.calls.map(\.name) == ["echo", "read_file", "echo"])
        #expect(try answer.calls.map { try JSON($0.arguments) } == [["text": "one"], ["path": "a.txt"], ["text": "two"]])
        #expect(Set(answer.calls.map(\.id)).count == 3)
    }

    @Test("Call ids differ from run to run")
    func callIDsDifferFromRunToRun() async throws {
        let first = try await Self.answer(to: [Self.user("echo x")]).calls.first?.id
        let second = try await Self.answer(to: [Self.user("echo x")]).calls.first?.id
        #expect(first != second)
    }

    @Test("The model calls only offered tools")
    func toolsThatAreNotOfferedAreNotCalled() async throws {
        let tools = ByteBuffer(string: #"[{"type":"function","function":{"name":"echo"}}]"#)
        let answer = try await Self.answer(to: [Self.user("read_file a\necho b")], tools: tools)
        #expect(answer.text == "I have no tool named read_file.")
        #expect(answer.calls.map(\.name) == ["echo"])
        #expect(try await Self.answer(to: [Self.user("echo b")], tools: nil).events.last == .finish(.stop))
    }

    @Test("A tool name without an argument is text")
    func aToolWithoutAnArgumentIsText() async throws {
        #expect(try await Self.answer(to: [Self.user("echo")]).text == "You said: echo")
    }

    @Test("The model emits words one by one")
    func saysWordsOneByOne() async throws {
        let answer = try await Self.answer(to: [Self.user("slow 5")])
        #expect(answer.text == "1 2 3 4 5")
        #expect(answer.events.count == 7)
        let bounded = try await Self.answer(to: [Self.user("slow 999999999\nslow 9")])
        #expect(bounded.events.count == ScriptedModel.maxSlowWords + 2)
        for line in ["slow 0", "slow -3", "slow x", "slow 99999999999999999999"] {
            #expect(try await Self.answer(to: [Self.user(line)]).text == "You said: \(line)")
        }
    }

    @Test("The model quotes results with the names of their tools")
    func quotesResultsWithTheNamesOfTheirTools() async throws {
        let calls = [
            ToolCall(id: "c1", name: "read_file", arguments: ByteBuffer(string: "{}")),
            ToolCall(id: "c2", name: "echo", arguments: ByteBuffer(string: "{}")),
        ]
        let history = [
            Self.user("read_file a\necho b"), ChatMessage.assistant(text: ByteBuffer(), calls: calls),
            ChatMessage.tool(callID: "c2", content: ByteBuffer(string: "B")),
            ChatMessage.tool(callID: "c1", content: ByteBuffer(string: String(repeating: "long ", count: 1000))),
        ]
        let answer = try await Self.answer(to: history)
        #expect(answer.text.hasPrefix("The result of echo: B\nThe result of read_file: long long"))
        #expect(answer.text.count < 2 * ScriptedModel.maxExcerpt)
        #expect(answer.calls.isEmpty)
        // The model's completion is for the next question, not for the old results.
        #expect(try await Self.answer(to: history + [Self.user("thanks")]).text == "You said: thanks")
    }

    @Test("The model reads content parts")
    func readsContentParts() async throws {
        let parts = ByteBuffer(
            string:
                #"{"role":"user","content":[{"type":"text","text":"one"},{"type":"image_url","image_url":{}},{"type":"text","text":"two"}]}"#
        )
        #expect(try await Self.answer(to: [parts]).text == "You said: one\ntwo")
    }

    @Test("An invalid message is rejected")
    func aMessageThatIsNoneIsRejected() async {
        let error = await #expect(throws: LLMError.self) { try await Self.answer(to: [ByteBuffer(string: "[]")]) }
        #expect(error?.code == .rejected)
    }

    @Test("A cancellation stops the model in mid-completion", arguments: [Duration.microseconds(50), .milliseconds(1)])
    func isCancelledInTheMiddle(delay: Duration) async throws {
        let told = Gate()
        let task = Task {
            var count = 0
            try await ScriptedModel(tokenDelay: delay).generate(LLMRequest(model: "m", messages: [Self.user("slow 10000")])) { _ in
                count += 1
                if count == 3 {
                    told.open()
                    // The model continues at once, while the cancellation is on its way.
                    while !Task.isCancelled { await Task.yield() }
                }
            }
        }
        await told.pass()
        task.cancel()
        let result = await task.result
        #expect(throws: CancellationError.self) { try result.get() }
    }

    @Test("An error of the receiver ends the generation")
    func anErrorOfTheSinkEndsIt() async {
        struct Enough: Error {}
        await #expect(throws: Enough.self) {
            try await ScriptedModel(tokenDelay: .zero).generate(LLMRequest(model: "m", messages: [Self.user("hello")])) { _ in
                throw Enough()
            }
        }
    }
}
